//! Names of the files of each command, with placeholders.

use super::filling::Filling;
use super::reading::Reading;
use super::template::CommandTemplate;
use super::template_error::TemplateError;
use crate::command::files::name::CarriedName;

/// See the module.
#[derive(Debug, Default)]
pub struct FileNames {
    sent: Option<CommandTemplate>,
    returned: Option<CommandTemplate>,
}

impl FileNames {
    /// Finds the placeholders; `whole` is the one for the input.
    ///
    /// # Errors
    /// If one is not known.
    pub fn parse(sent: &[String], returned: &[String], whole: &str) -> Result<Self, TemplateError> {
        let reading = Reading { whole, shell: None, literal: false, more: None };
        let parse = |names: &[String]| {
            let template = (!names.is_empty()).then(|| CommandTemplate::parse_words(names, reading));
            template.transpose()
        };
        Ok(Self { sent: parse(sent)?, returned: parse(returned)? })
    }

    /// The files that are sent for an input, and those that are returned.
    ///
    /// # Errors
    /// If a name has no place in a scratch folder, or needs more columns.
    pub fn fill(
        &self,
        row: &[String],
        sequence: u64,
    ) -> Result<(Vec<CarriedName>, Vec<CarriedName>), String> {
        let fill = |template: &Option<CommandTemplate>| {
            let Some(template) = template else { return Ok(Vec::new()) };
            let names = template.fill(&Filling::new(row, sequence)).map_err(|error| error.to_string())?;
            names.iter().map(|name| CarriedName::parse(name)).collect::<Result<_, _>>()
        };
        Ok((fill(&self.sent)?, fill(&self.returned)?))
    }
}
