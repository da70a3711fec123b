//! Makes programs of the Rust blocks in docs/guide/rust.md, so that what the page shows compiles and runs.

use std::path::Path;

const PAGE: &str = "../../../docs/guide/rust.md";

fn main() {
    println!("cargo::rerun-if-changed={PAGE}");
    println!("cargo::rerun-if-changed=build.rs");
    let page = std::fs::read_to_string(PAGE).expect("the guide is there");
    let blocks: Vec<String> = page
        .split("\n```rust\n")
        .skip(1)
        .map(|rest| rest.split("\n```").next().unwrap_or_default())
        .map(|block| block.replace("\"127.0.0.1:8000\"", "argon::Addresses::default()"))
        .collect();
    let [hello, blocking, nested, lines] = &blocks[..] else {
        panic!("{PAGE} has {} blocks of Rust: give each a program here and a test", blocks.len());
    };
    let (task, _) = hello.split_once("\n\n").expect("the first block begins with its task");
    let lines = format!(
        "#[argon::main]\nasync fn main() -> Result<(), argon::Error> {{\n\
         let client = argon::Client::connect(argon::Addresses::default()).await?;\n\
         {lines}\nprintln!(\"{{sum}} {{root}}\");\nOk(())\n}}\n"
    );
    let nested = format!(
        "{nested}\n#[argon::main]\nasync fn main() -> Result<(), argon::Error> {{\n\
         let client = argon::Client::connect(argon::Addresses::default()).await?;\n\
         println!(\"{{}}\", client.call(fib(8)).await?);\nOk(())\n}}\n"
    );
    let folder = std::env::var("OUT_DIR").expect("cargo sets it");
    let blocking = format!("{task}\n\n{blocking}");
    let programs = [("hello", hello.clone()), ("blocking", blocking), ("nested", nested), ("lines", lines)];
    for (name, program) in programs {
        std::fs::write(Path::new(&folder).join(format!("{name}.rs")), program).expect("it can be written");
    }
}
