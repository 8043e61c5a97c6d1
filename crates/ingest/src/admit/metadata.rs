//! What of the metadata of a request is new.

use std::collections::BTreeMap;

use duramen_limits::IngestLimits;
use duramen_model::FamilyMetadata;
use duramen_proto::{SentMetadata, WriteRequest};

use super::Admitted;
use crate::head::Families;
use crate::refusal::Refusal;

/// Puts into the rows what the log of `generation` does not have yet. The last word of a request on a family counts.
pub(super) fn admit(
    families: &Families,
    request: &WriteRequest<'_>,
    limits: &IngestLimits,
    now_ms: i64,
    generation: u64,
    admitted: &mut Admitted,
) {
    let mut news: BTreeMap<&str, FamilyMetadata> = BTreeMap::new();
    let mut unknown = 0;
    for sent in &request.metadata {
        let checked = check(sent, limits).and_then(|said| {
            let is_known = families.contains(said.family) || news.contains_key(said.family);
            if !is_known && families.len() + unknown >= limits.metadata_families_max {
                let (family, max) = (said.family.to_owned(), limits.metadata_families_max);
                return Err(Refusal::MetadataLimit { family, max });
            }
            unknown += usize::from(!is_known);
            Ok(said)
        });
        match checked {
            Err(refusal) => admitted.lost_metadata.add(refusal.reason(), 1, || refusal.to_string()),
            Ok(Said { family, help, unit }) => {
                admitted.families += 1;
                let is_old = families.is_logged(family, sent.kind, help, unit, generation);
                if is_old && !news.contains_key(family) {
                    continue;
                }
                let [owned, help, unit] = [family, help, unit].map(str::to_owned);
                let metadata = FamilyMetadata { family: owned, kind: sent.kind, help, unit, last_seen_ms: now_ms };
                news.insert(family, metadata);
            }
        }
    }
    admitted.rows.metadata = news.into_values().collect();
}

/// The text of metadata.
struct Said<'a> {
    family: &'a str,
    help: &'a str,
    unit: &'a str,
}

fn check<'a>(sent: &SentMetadata<'a>, limits: &IngestLimits) -> Result<Said<'a>, Refusal> {
    let family = || String::from_utf8_lossy(sent.family).chars().take(SHOWN_CHARS_MAX).collect();
    let (bytes, max) = (sent.family.len() + sent.help.len() + sent.unit.len(), limits.metadata_bytes_max);
    if bytes > max {
        return Err(Refusal::MetadataTooLong { family: family(), bytes, max });
    }
    let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
    match (text(sent.family), text(sent.help), text(sent.unit)) {
        (Some(family), Some(help), Some(unit)) if !family.is_empty() => Ok(Said { family, help, unit }),
        _ => Err(Refusal::MetadataInvalid { family: family() }),
    }
}

/// Of a name in an error.
const SHOWN_CHARS_MAX: usize = 200;
