//! Handing bytes to the kernel without waiting.

use std::io::{self, IoSlice};

use super::State;

impl State {
    /// Writes what is there, or as much as the kernel takes.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        self.session.finish_batch(&mut self.out);
        let outbox = &mut self.out.frames;
        while !outbox.is_empty() {
            let mut slices = [IoSlice::new(&[]); 64];
            let count = outbox.slices(&mut slices);
            match stream.try_write_vectored(&slices[..count]) {
                Ok(written) => outbox.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        self.is_blocked = false;
        Ok(())
    }
}
