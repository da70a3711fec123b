//! Renders the Mandelbrot set tile by tile, each tile a task, and writes `mandelbrot.ppm`.
//!
//! `cargo run --release --example mandelbrot -- [MANAGER] [FILE] [SIZE]`

use std::io::Write;
use std::time::Instant;

use serde::{Deserialize, Serialize};

const TILE: u32 = 64;
const STEPS: u32 = 500;

/// A square of the picture, in pixels, and the picture's own size.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Tile {
    left: u32,
    top: u32,
    size: u32,
}

/// The colours of a tile's pixels, row by row, three bytes each.
#[argon::task]
fn render(tile: Tile) -> Vec<u8> {
    let mut pixels = Vec::with_capacity((TILE * TILE * 3) as usize);
    for y in tile.top..tile.top + TILE {
        for x in tile.left..tile.left + TILE {
            let scale = 3.0 / f64::from(tile.size);
            let point = (f64::from(x) * scale - 2.25, f64::from(y) * scale - 1.5);
            pixels.extend(colour(steps_to_escape(point)));
        }
    }
    pixels
}

fn steps_to_escape((real, imaginary): (f64, f64)) -> u32 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..STEPS {
        (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
        if x * x + y * y > 4.0 {
            return step;
        }
    }
    STEPS
}

fn colour(steps: u32) -> [u8; 3] {
    if steps == STEPS {
        return [0, 0, 0];
    }
    let share = (f64::from(steps) / f64::from(STEPS)).sqrt();
    [(share * 255.0) as u8, (share * share * 255.0) as u8, (128.0 + share * 127.0) as u8]
}

#[argon::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let manager = arguments.next().map_or_else(argon::Addresses::default, argon::Addresses::from);
    let file = arguments.next().unwrap_or_else(|| "mandelbrot.ppm".to_owned());
    let size = arguments.next().map_or(Ok(1024), |size| size.parse::<u32>())?.next_multiple_of(TILE);
    let client = argon::Client::connect(manager).await?;

    let begun = Instant::now();
    let tiles: Vec<Tile> = (0..size)
        .step_by(TILE as usize)
        .flat_map(|top| (0..size).step_by(TILE as usize).map(move |left| Tile { left, top, size }))
        .collect();
    let mut image = vec![0; (size * size * 3) as usize];
    let mut rendered = client.map(tiles.iter().map(|tile| render(*tile))).as_completed();
    while let Some((position, pixels)) = rendered.next().await {
        place(&mut image, tiles[position], &pixels?);
    }
    let mut out = std::fs::File::create(&file)?;
    write!(out, "P6\n{size} {size}\n255\n")?;
    out.write_all(&image)?;
    println!("{} tiles in {:.2} s: {file}", tiles.len(), begun.elapsed().as_secs_f64());
    Ok(())
}

fn place(image: &mut [u8], tile: Tile, pixels: &[u8]) {
    let row_bytes = (TILE * 3) as usize;
    for (row, pixels) in (tile.top..).zip(pixels.chunks_exact(row_bytes)) {
        let at = ((row * tile.size + tile.left) * 3) as usize;
        image[at..at + row_bytes].copy_from_slice(pixels);
    }
}
