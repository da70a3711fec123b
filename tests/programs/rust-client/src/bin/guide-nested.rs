//! A block of docs/guide/rust.md; see build.rs.

include!(concat!(env!("OUT_DIR"), "/nested.rs"));
