//! Which labels are taken from outside.

use duramen_model::{Labels, METRIC_NAME_BYTES_MAX};

/// The labels of one series.
const BYTES_MAX: usize = 64 << 10;

/// Makes a label set of what was read. The error says why it is none.
pub(crate) fn checked<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Labels, String> {
    let labels = Labels::from_pairs(pairs);
    let labels = labels.ok_or("a label has no name, or a name comes twice")?;

    if labels.metric_name().len() > METRIC_NAME_BYTES_MAX {
        return Err(format!(
            "a metric name has more than {METRIC_NAME_BYTES_MAX} bytes"
        ));
    }

    if labels.encoded().len() > BYTES_MAX {
        return Err(format!(
            "the labels of a series have more than {BYTES_MAX} bytes"
        ));
    }

    Ok(labels)
}
