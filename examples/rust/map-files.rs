//! Counts the lines of many files, as the counts come in; memory stays flat however many files there are.
//!
//! `cargo run --example map-files -- HOST:PORT FILE…`; without files: the examples.

/// The text travels: the worker may be on another machine.
#[argon::task]
fn lines(text: &str) -> usize {
    text.lines().count()
}

#[argon::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let manager = arguments.next().map_or_else(argon::Addresses::default, argon::Addresses::from);
    let mut paths: Vec<String> = arguments.collect();
    if paths.is_empty() {
        paths = ["hello", "map-files", "errors"].map(|name| format!("examples/rust/{name}.rs")).to_vec();
    }
    let client = argon::Client::connect(manager).await?;

    // Files are read only as far as the pool works.
    let text =
        |path: &String| std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let calls = paths.iter().map(|path| lines(&text(path)));
    let mut counts = client.map(calls).ahead(8).as_completed();
    let mut total = 0;
    while let Some((place, count)) = counts.next().await {
        let count = count?;
        total += count;
        println!("{count:6} {}", paths[place]);
    }
    println!("{total} lines in {} files", paths.len());
    Ok(())
}
