//! Meta data of a task that is a command (`spec/runner.md`, section 7): written by the commands, read by the worker.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The command, except what is packed at the beginning of the payload.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CommandMeta {
    /// The command and its arguments, unless they are packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv: Option<Vec<String>>,
    /// Set if words and variables are too long for meta data, or not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packed: Option<PackedWords>,
    /// Short form of a command whose words are packed, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Folder that the command starts in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Folder of the caller: the command starts there if the worker has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Variables that the command sees.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Mode bits that files of the command do not get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Set if the command starts in a scratch folder, with the files at the beginning of its input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<FilesMeta>,
    /// Number that is added to the nice value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u8>,
    /// `ask` if the command reads what its client is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
}

/// Files of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesMeta {
    /// Paths in the scratch folder that are sent to the client when the command has ended.
    #[serde(default, rename = "return", skip_serializing_if = "Vec::is_empty")]
    pub returned: Vec<String>,
}

/// Size of the words and variables at the beginning of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackedWords {
    /// All of it, in bytes.
    pub bytes: usize,
    /// Number of words; variables follow them.
    pub argv: usize,
}
