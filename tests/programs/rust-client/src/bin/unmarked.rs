//! A program whose main would not serve: it must be told so, and not be started on workers.

#[argon::task]
fn one() -> u8 {
    1
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let client = argon::Connect::to(&arguments[1]).key_file(&arguments[2]).connect_blocking().unwrap();
    println!("{}", client.queue(one()).unwrap_err());
}
