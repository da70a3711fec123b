//! Commands over inputs: what `argon map` decides before and after a command runs somewhere in the pool.
//!
//! Reads inputs, fills in placeholders, groups and orders output, keeps the joblog and counts failures. It opens no
//! connection: `cli/map` drives it, and hands what it makes to the client.

pub mod blocks;
pub mod csv;
pub mod dictionary;
pub mod file_names;
pub mod filling;
pub mod halt;
pub mod inputs;
pub mod joblog;
pub mod jobs;
pub mod line;
pub mod live;
pub mod perl;
pub mod placeholder;
pub mod printer;
pub mod progress;
pub mod quote;
pub mod reader;
pub mod reading;
pub mod records;
pub mod results;
pub mod script;
pub mod shape;
pub mod slots;
pub mod spill;
pub mod summary;
pub mod supply;
pub mod template;
pub mod template_error;
pub mod work_item;
