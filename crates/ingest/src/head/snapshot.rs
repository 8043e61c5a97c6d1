//! The snapshot of a head for queries.

use std::sync::Arc;

use duramen_model::WriterId;
use duramen_source::{FlushedPosition, HeadSnapshot, Part};

use super::generation::Generation;
use super::registry::SlotPin;
use super::source::GenerationSource;
use super::tenant::{FrozenSamples, TenantHead};

impl TenantHead {
    /// Returns a [`HeadSnapshot`]: all records up to one point, and no later ones.
    pub(crate) fn snapshot(self: &Arc<Self>, writer: WriterId) -> HeadSnapshot {
        // The pin is taken before the generations are read. The series keep their numbers while the
        // parts live.
        let pin = self.registry.read().pin();

        self.read_chain(|all_frozen, open, flushed| {
            let mut parts = Vec::new();
            let mut ends = Vec::new();

            for frozen in all_frozen {
                match frozen.samples() {
                    FrozenSamples::Memory(generation) => parts.push(self.part(&generation, &pin)),
                    FrozenSamples::Staged(blocks) => {
                        let order = frozen.order;
                        parts.extend(blocks.iter().map(|staged| Part {
                            order,
                            source: staged.source(),
                            holds_samples: true,
                        }));
                    }
                }

                ends.resize(parts.len(), frozen.end.0);
            }

            parts.push(self.part(open, &pin));
            ends.push(u64::MAX);

            HeadSnapshot {
                parts,
                ends,
                flushed: FlushedPosition {
                    writer,
                    position: flushed.0,
                },
            }
        })
    }

    fn part(self: &Arc<Self>, generation: &Arc<Generation>, pin: &SlotPin) -> Part {
        // The moment comes first. A series that comes after it is not seen in any case.
        let moment = generation.moment();
        let holds_samples = !generation.read().has_no_series();
        let source = GenerationSource::new(Arc::clone(self), moment, pin.clone());

        Part {
            order: generation.order,
            source: Arc::new(source),
            holds_samples,
        }
    }
}
