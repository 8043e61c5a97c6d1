//! A script: a list of commands.

use crate::eval::Eval;
use crate::line::{Line, ScriptError};
use crate::load::{self, LoadedSeries};

/// A script that was read without an error.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clear,
    /// `line` is the number of the command's line, counted from 1.
    Load {
        line: usize,
        series: Vec<LoadedSeries>,
    },
    Eval(Box<Eval>),
}

impl Script {
    /// Reads a whole script.
    ///
    /// # Errors
    /// At the first line that is not valid, or whose query does not parse.
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let lines: Vec<Line<'_>> = (1..).zip(text.split('\n').map(shown)).collect();
        let mut rest = lines.as_slice();
        let mut commands = Vec::new();

        while let Some((&(line, head), behind)) = rest.split_first() {
            rest = behind;

            let word = head.split([' ', '\t']).next().unwrap_or("").to_lowercase();
            if word.is_empty() {
                continue;
            }

            let block = &behind[..behind
                .iter()
                .take_while(|(_, text)| !text.is_empty())
                .count()];

            let used = match word.as_str() {
                "clear" => {
                    commands.push(Command::Clear);
                    0
                }
                word if word.starts_with("load") => {
                    commands.push(Command::Load {
                        line,
                        series: load::parse((line, head), block)?,
                    });

                    block.len()
                }
                word if word.starts_with("eval") => {
                    let (eval, used) = Eval::parse((line, head), block)?;
                    commands.push(Command::Eval(Box::new(eval)));
                    used
                }
                other => return Err(ScriptError::at(line, format!("no command: {other:?}"))),
            };

            rest = &rest[used..];
        }

        Ok(Self { commands })
    }

    /// Returns the series of all loads. If there are several loads, no two of them may have samples
    /// of the same series.
    pub fn loaded(&self) -> Vec<LoadedSeries> {
        let loads = self.commands.iter().filter_map(|command| match command {
            Command::Load { series, .. } => Some(series),
            Command::Clear | Command::Eval(_) => None,
        });

        loads.flatten().cloned().collect()
    }
}

/// Trims a line. A comment becomes a blank line, so it ends a block.
fn shown(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}
