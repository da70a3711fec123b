//! Lists the files of the Perl and the Python client for `src/carried_library.rs`, which puts them into the program.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut table = String::new();
    for (name, folder, endings) in
        [("PERL", "perl/lib", &["pm", "pod"][..]), ("PYTHON", "python/src", &["py", "txt", "typed"][..])]
    {
        let folder = root.join(folder).canonicalize().expect("the clients' libraries are in this repository");
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        collect(&folder, endings, &mut files);
        files.sort();
        table += &format!("pub(super) const {name}: &[(&str, &[u8])] = &[\n");
        for file in files {
            let inner = file.strip_prefix(&folder).expect("it is in the folder");
            table += &format!("    ({inner:?}, include_bytes!({file:?})),\n");
        }
        table += "];\n";
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo names it")).join("libraries.rs");
    fs::write(out, table).expect("cargo's folder can be written");
}

fn collect(folder: &Path, endings: &[&str], files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let is_of_client = path.extension().is_some_and(|own| endings.iter().any(|ending| own == *ending));
        if path.is_dir() {
            collect(&path, endings, files);
        } else if is_of_client {
            files.push(path);
        }
    }
}
