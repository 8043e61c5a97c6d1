//! A script: its commands in their order.

use crate::eval::Eval;
use crate::line::{Line, ScriptError};
use crate::load::{self, LoadedSeries};

/// A script that was read without a fault.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(crate) enum Command {
    Clear,
    /// `line` is where the command stands; the first is 1.
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
    /// The first line that is not of the language, and queries that do not parse.
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

    /// What the loads of a script bring that has one load, or several of which none adds to the
    /// series of another.
    pub fn loaded(&self) -> Vec<LoadedSeries> {
        let loads = self.commands.iter().filter_map(|command| match command {
            Command::Load { series, .. } => Some(series),
            Command::Clear | Command::Eval(_) => None,
        });

        loads.flatten().cloned().collect()
    }
}

/// A line without its margins. A comment is as good as a blank line, also inside of a block, which
/// it ends.
fn shown(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with('#') { "" } else { line }
}
