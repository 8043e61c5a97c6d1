//! The metadata of a request: which of it is new.

use std::collections::BTreeMap;

use duramen_limits::IngestLimits;
use duramen_model::{FamilyMetadata, Shown};
use duramen_proto::{SentMetadata, WriteRequest};

use super::admitted::Admitted;
use crate::head::Families;
use crate::memory::HeadsMemory;
use crate::rejection::{Lost, Rejection};

/// Puts the metadata that the log of `generation` does not have yet into the rows. If a request
/// names a family twice, the last entry counts.
pub(super) fn admit(
    families: &Families,
    request: &WriteRequest<'_>,
    limits: &IngestLimits,
    room: &Room<'_>,
    now_ms: i64,
    generation: u64,
    admitted: &mut Admitted,
) {
    let mut news = News {
        families,
        limits,
        room,
        by_name: BTreeMap::new(),
        unknown: 0,
        bytes: 0,
    };

    for sent in &request.metadata {
        let FamilyText { family, help, unit } = match news.check(sent) {
            Ok(text) => text,
            Err(rejection) => {
                admitted
                    .lost_metadata
                    .add(rejection.reason(), Lost::FAMILY, || rejection.to_string());
                continue;
            }
        };

        admitted.families += 1;

        let is_old = families.is_logged(family, sent.kind, help, unit, generation);
        if is_old && !news.by_name.contains_key(family) {
            continue;
        }

        let metadata = FamilyMetadata {
            family: family.to_owned(),
            kind: sent.kind,
            help: help.to_owned(),
            unit: unit.to_owned(),
            last_seen_ms: now_ms,
        };

        news.by_name.insert(family, metadata);
    }

    admitted.rows.metadata = news.by_name.into_values().collect();
}

/// The new metadata of one request.
struct News<'r, 'a> {
    families: &'r Families,
    limits: &'r IngestLimits,
    room: &'r Room<'r>,
    by_name: BTreeMap<&'a str, FamilyMetadata>,
    /// How many families of the request are unknown.
    unknown: usize,
    /// How much more memory the request takes.
    bytes: usize,
}

impl<'a> News<'_, 'a> {
    /// Checks metadata against the limits, and counts what it adds.
    fn check(&mut self, sent: &SentMetadata<'a>) -> Result<FamilyText<'a>, Rejection> {
        let text = check(sent, self.limits)?;
        let families = self.families;
        let max = self.limits.metadata_families_max;

        let is_known = families.contains(text.family) || self.by_name.contains_key(text.family);
        if !is_known && families.len() + self.unknown >= max {
            let family = Shown(text.family.as_bytes()).to_string();
            return Err(Rejection::MetadataLimit { family, max });
        }

        let bytes = families.growth(text.family, text.help, text.unit);
        if bytes > 0 {
            self.room
                .check(text.family, self.bytes + bytes, self.limits)?;
        }

        self.unknown += usize::from(!is_known);
        self.bytes += bytes;
        Ok(text)
    }
}

/// The memory that is left for more metadata.
pub(super) struct Room<'a> {
    pub(super) memory: &'a HeadsMemory,
    /// The bytes of the tenant's series and metadata.
    pub(super) series_bytes: usize,
}

impl Room<'_> {
    fn check(&self, family: &str, more: usize, limits: &IngestLimits) -> Result<(), Rejection> {
        let max = limits
            .series_bytes_max
            .unwrap_or_else(|| self.memory.series_bytes_of_tenant());
        if self.series_bytes.saturating_add(more) > max {
            return Err(Rejection::MetadataBytesLimit {
                family: family.to_owned(),
                max,
            });
        }

        self.memory.check(more)
    }
}

/// Metadata that may be stored, as text.
struct FamilyText<'a> {
    family: &'a str,
    help: &'a str,
    unit: &'a str,
}

fn check<'a>(sent: &SentMetadata<'a>, limits: &IngestLimits) -> Result<FamilyText<'a>, Rejection> {
    let family = || Shown(sent.family).to_string();
    let bytes = sent.family.len() + sent.help.len() + sent.unit.len();
    let max = limits.metadata_bytes_max;

    if bytes > max {
        return Err(Rejection::MetadataTooLong {
            family: family(),
            bytes,
            max,
        });
    }

    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
    match (text(sent.family), text(sent.help), text(sent.unit)) {
        (Some(family), Some(help), Some(unit)) if !family.is_empty() => {
            Ok(FamilyText { family, help, unit })
        }
        _ => Err(Rejection::MetadataInvalid { family: family() }),
    }
}
