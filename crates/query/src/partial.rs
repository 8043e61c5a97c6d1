//! Answers that may be partial.

use std::sync::Arc;

use duramen_limits::QueryLimits;
use duramen_source::LeftOut;

use crate::error::Error;

/// An answer over the blocks that could be read.
#[derive(Debug)]
pub struct Partial<T> {
    pub value: T,
    /// A warning for each block that could not be read, sorted. The value is exactly the answer
    /// over everything else. Without warnings, the answer is complete.
    pub left_out: Vec<String>,
}

/// Returns where a request notes the blocks that it leaves out. `None` if its answer must be
/// complete. `asked` is what the request says; without it, the tenant's limits decide.
pub(crate) fn left_out(asked: Option<bool>, limits: &QueryLimits) -> Option<Arc<LeftOut>> {
    asked
        .unwrap_or(limits.partial_response)
        .then(Arc::<LeftOut>::default)
}

/// Runs `work` once. If its answer may be partial, runs it again as long as a run is torn: a block
/// could not be read after some of its series were. Each further run has fewer blocks, so there is
/// a last one. A torn run's error does not count either, because half a block may have caused it.
pub(crate) async fn settled<T, F>(
    left_out: Option<&LeftOut>,
    work: impl Fn() -> F + Sync,
) -> Result<Partial<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let Some(left_out) = left_out else {
        let value = work().await?;
        let left_out = Vec::new();
        return Ok(Partial { value, left_out });
    };

    loop {
        left_out.begin();
        let result = work().await;

        if let Some(left_out) = left_out.end() {
            let value = result?;
            return Ok(Partial { value, left_out });
        }
    }
}
