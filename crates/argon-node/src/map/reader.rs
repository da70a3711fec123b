//! Reads inputs on a thread of its own, ahead of those who take them but never far: a list without end needs no more
//! memory than a short one.

use tokio::sync::mpsc;

use super::blocks::Blocks;
use super::records::RecordError;
use super::supply::Supply;
use super::work_item::InputItem;

/// Most items of a batch. A long list does not wake the receiver for each of its lines.
const BATCH_ITEMS: usize = 64;
/// Batches that wait at most.
const BATCHES: usize = 4;

/// Items that the thread has read.
#[derive(Debug, Default)]
pub struct InputBatch {
    /// The items.
    pub items: Vec<InputItem>,
    /// Reason why there are no more, if it is not the end of the list.
    pub stopped_by: Option<String>,
}

/// Starts to read. The channel ends with the inputs.
///
/// # Errors
/// If the system gives no thread, as under a limit of processes.
pub fn start(mut inputs: Supply) -> std::io::Result<mpsc::Receiver<InputBatch>> {
    let (give, batches) = mpsc::channel(BATCHES);
    std::thread::Builder::new().name("argon inputs".to_owned()).spawn(move || {
        loop {
            let batch = batch(&mut inputs);
            let is_last = batch.items.is_empty() || batch.stopped_by.is_some();
            if batch.items.is_empty() && batch.stopped_by.is_none() {
                return;
            }
            if give.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(batches)
}

/// Starts to read blocks. At most two wait, besides the one that is read: they may be big.
///
/// # Errors
/// If the system gives no thread, as under a limit of processes.
pub fn start_blocks(mut blocks: Blocks) -> std::io::Result<mpsc::Receiver<InputBatch>> {
    let (give, batches) = mpsc::channel(1);
    std::thread::Builder::new().name("argon blocks".to_owned()).spawn(move || {
        loop {
            let batch = match blocks.next_block() {
                Ok(Some(block)) => InputBatch { items: vec![InputItem::Block(block)], stopped_by: None },
                Ok(None) => return,
                Err(error) => InputBatch { items: Vec::new(), stopped_by: Some(error.to_string()) },
            };
            let is_last = batch.stopped_by.is_some();
            if give.blocking_send(batch).is_err() || is_last {
                return;
            }
        }
    })?;
    Ok(batches)
}

/// The next items: all that are at hand, but at least one if there is one.
fn batch(inputs: &mut Supply) -> InputBatch {
    let mut batch = InputBatch::default();
    // One name that is not UTF-8 does not stop the others.
    while batch.items.is_empty() || (batch.items.len() < BATCH_ITEMS && inputs.is_ready()) {
        match inputs.next_row() {
            Ok(Some(row)) => batch.items.push(InputItem::Row(row)),
            Ok(None) => break,
            Err(error @ RecordError::NotText { .. }) => batch.items.push(InputItem::Bad(error.to_string())),
            Err(error) => {
                batch.stopped_by = Some(error.to_string());
                break;
            }
        }
    }
    batch
}

/// All items at once, where their number must be known.
#[must_use]
pub fn read_all(mut inputs: Supply) -> InputBatch {
    let mut all = InputBatch::default();
    loop {
        let batch = batch(&mut inputs);
        let is_last = batch.items.is_empty() || batch.stopped_by.is_some();
        all.items.extend(batch.items);
        all.stopped_by = batch.stopped_by;
        if is_last {
            return all;
        }
    }
}

/// Items that are known already.
#[must_use]
pub fn of_items(items: Vec<InputItem>) -> mpsc::Receiver<InputBatch> {
    of_batch(InputBatch { items, stopped_by: None })
}

/// A batch that is known already.
#[must_use]
pub fn of_batch(batch: InputBatch) -> mpsc::Receiver<InputBatch> {
    let (give, batches) = mpsc::channel(1);
    // There is room for one, and its reader is there.
    let _ = give.try_send(batch);
    batches
}

#[cfg(test)]
mod tests {
    use super::super::inputs::InputPlan;
    use super::super::records::Format;
    use super::super::supply::Fill;
    use super::*;

    async fn read(path: &std::path::Path, bytes: &[u8]) -> (Vec<InputItem>, Option<String>) {
        std::fs::write(path, bytes).expect("written");
        let plan = InputPlan::new(vec!["x".into()], &[path.to_owned()]).expect("a plan");
        let mut batches =
            start(Supply::new(plan.open(Format::Lines).expect("opened"), Fill::One)).expect("a thread");
        let (mut items, mut stopped_by) = (Vec::new(), None);
        while let Some(batch) = batches.recv().await {
            items.extend(batch.items);
            stopped_by = batch.stopped_by;
        }
        (items, stopped_by)
    }

    #[tokio::test]
    async fn everything_comes_in_order_and_what_is_no_text_is_told_in_its_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("inputs");
        let lines: String = (0..1000).map(|number| format!("{number}\n")).collect();
        let (items, stopped_by) = read(&path, lines.as_bytes()).await;
        assert_eq!((items.len(), stopped_by), (1000, None));
        assert_eq!(items[999], InputItem::Row(vec!["999".to_owned()]));
        let (items, _) = read(&path, b"a\n\xff\nb\n").await;
        assert!(matches!(&items[..], [InputItem::Row(_), InputItem::Bad(_), InputItem::Row(_)]), "{items:?}");
        let long = [b"a\n".as_slice(), &vec![b'x'; 2 << 20]].concat();
        let (items, stopped_by) = read(&path, &long).await;
        assert_eq!(items.len(), 1);
        assert!(stopped_by.expect("a reason").contains("longer than 1 MiB"));
    }
}
