//! Remote write 1.0 on the wire: just enough protobuf to encode samples and to walk them again.

use anyhow::{Context, Result};

/// The bits of the NaN with which Prometheus says that a series has ended.
pub(crate) const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// Key of field 1, length-delimited: `WriteRequest.timeseries`, `TimeSeries.labels`, `Label.name`.
const FIELD_1_BYTES: u8 = 0x0a;
/// Key of field 2, length-delimited: `TimeSeries.samples`, `Label.value`.
const FIELD_2_BYTES: u8 = 0x12;
/// Key of field 1, fixed 64 bits: `Sample.value`.
const FIELD_1_FIXED64: u8 = 0x09;
/// Key of field 2, varint: `Sample.timestamp`.
const FIELD_2_VARINT: u8 = 0x10;

pub(crate) fn put_varint(buf: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        buf.push(value as u8 | 0x80);
        value >>= 7;
    }

    buf.push(value as u8);
}

/// A signed number as a varint, small magnitudes first.
pub(crate) fn put_zigzag(buf: &mut Vec<u8>, value: i64) {
    put_varint(buf, ((value << 1) ^ (value >> 63)) as u64);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn put_bytes(buf: &mut Vec<u8>, key: u8, bytes: &[u8]) {
    buf.push(key);
    put_varint(buf, bytes.len() as u64);
    buf.extend_from_slice(bytes);
}

/// Appends one `Label` as a field of a `TimeSeries`.
pub(crate) fn put_label(buf: &mut Vec<u8>, name: &str, value: &str) {
    let field = |s: &str| 1 + varint_len(s.len() as u64) + s.len();
    buf.push(FIELD_1_BYTES);
    put_varint(buf, (field(name) + field(value)) as u64);
    put_bytes(buf, FIELD_1_BYTES, name.as_bytes());
    put_bytes(buf, FIELD_2_BYTES, value.as_bytes());
}

/// Appends one `TimeSeries` of one sample as a field of a `WriteRequest`; `labels` are encoded
/// already.
///
/// Zero values are left out, as the reference encoder does.
pub(crate) fn put_series(buf: &mut Vec<u8>, labels: &[u8], ts_ms: i64, value: f64) {
    let has_value = value.to_bits() << 1 != 0;
    let value_len = if has_value { 9 } else { 0 };

    let ts_len = if ts_ms != 0 {
        1 + varint_len(ts_ms as u64)
    } else {
        0
    };

    let sample_len = value_len + ts_len;
    let series_len = labels.len() + 1 + varint_len(sample_len as u64) + sample_len;
    buf.push(FIELD_1_BYTES);
    put_varint(buf, series_len as u64);
    buf.extend_from_slice(labels);
    buf.push(FIELD_2_BYTES);
    put_varint(buf, sample_len as u64);

    if has_value {
        buf.push(FIELD_1_FIXED64);
        buf.extend_from_slice(&value.to_bits().to_le_bytes());
    }

    if ts_ms != 0 {
        buf.push(FIELD_2_VARINT);
        put_varint(buf, ts_ms as u64);
    }
}

/// Reads the varint at `*at` and moves past it; `None` when it is cut short or longer than 64 bits.
#[inline(always)]
pub(crate) fn get_varint(buf: &[u8], at: &mut usize) -> Option<u64> {
    let first = *buf.get(*at)?;
    *at += 1;

    if first < 0x80 {
        return Some(u64::from(first));
    }

    let mut value = u64::from(first & 0x7f);
    let mut shift = 7;

    loop {
        let byte = *buf.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;

        if byte < 0x80 {
            return Some(value);
        }

        shift += 7;
        if shift > 63 {
            return None;
        }
    }
}

fn get_bytes<'a>(buf: &'a [u8], at: &mut usize) -> Option<&'a [u8]> {
    let len = usize::try_from(get_varint(buf, at)?).ok()?;
    let end = at.checked_add(len)?;
    let bytes = buf.get(*at..end)?;

    *at = end;
    Some(bytes)
}

fn skip(buf: &[u8], at: &mut usize, key: u64) -> Option<()> {
    let fixed = match key & 7 {
        0 => return get_varint(buf, at).map(drop),
        1 => 8,
        2 => return get_bytes(buf, at).map(drop),
        5 => 4,
        _ => return None,
    };

    *at += fixed;
    (*at <= buf.len()).then_some(())
}

fn sample(buf: &[u8]) -> Option<(i64, f64)> {
    let mut at = 0;
    let mut ts_ms = 0;
    let mut value = 0.0;

    while at < buf.len() {
        match get_varint(buf, &mut at)? {
            0x09 => {
                let bytes = buf.get(at..at + 8)?;
                value = f64::from_bits(u64::from_le_bytes(bytes.try_into().ok()?));
                at += 8;
            }
            0x10 => ts_ms = get_varint(buf, &mut at)? as i64,
            key => skip(buf, &mut at, key)?,
        }
    }

    Some((ts_ms, value))
}

fn walk_series<'a>(buf: &'a [u8], on_sample: &mut impl FnMut(&'a [u8], i64, f64)) -> Option<()> {
    let mut at = 0;
    let mut labels_end = 0;

    while at < buf.len() {
        match get_varint(buf, &mut at)? {
            0x0a => {
                get_bytes(buf, &mut at)?;
                labels_end = at;
            }
            0x12 => {
                let (ts_ms, value) = sample(get_bytes(buf, &mut at)?)?;
                on_sample(&buf[..labels_end], ts_ms, value);
            }
            key => skip(buf, &mut at, key)?,
        }
    }

    Some(())
}

fn walk_request<'a>(buf: &'a [u8], on_sample: &mut impl FnMut(&'a [u8], i64, f64)) -> Option<()> {
    let mut at = 0;
    while at < buf.len() {
        match get_varint(buf, &mut at)? {
            0x0a => walk_series(get_bytes(buf, &mut at)?, on_sample)?,
            key => skip(buf, &mut at, key)?,
        }
    }

    Some(())
}

/// Calls `on_sample(label bytes, ts_ms, value)` for each sample of a `WriteRequest`, copying
/// nothing.
///
/// The label bytes are the fields `labels` of that series as they stand in `buf`; encoders write
/// them first. On an error the samples before it have been passed on.
pub(crate) fn walk<'a>(buf: &'a [u8], mut on_sample: impl FnMut(&'a [u8], i64, f64)) -> Result<()> {
    walk_request(buf, &mut on_sample).context("malformed protobuf in a write request")
}

fn label(buf: &[u8]) -> Option<(String, String)> {
    let mut at = 0;
    let mut name = String::new();
    let mut value = String::new();

    while at < buf.len() {
        let key = get_varint(buf, &mut at)?;
        let text = String::from_utf8(get_bytes(buf, &mut at)?.to_vec()).ok()?;

        match key {
            0x0a => name = text,
            _ => value = text,
        }
    }

    Some((name, value))
}

/// Decodes the label bytes that [`walk`] passes on, in their order.
pub(crate) fn labels_of(buf: &[u8]) -> Result<Vec<(String, String)>> {
    let mut out = vec![];
    let mut at = 0;

    while at < buf.len() {
        let next = match get_varint(buf, &mut at) {
            Some(0x0a) => get_bytes(buf, &mut at).and_then(label),
            _ => None,
        };

        out.push(next.context("malformed labels of a series")?);
    }

    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Vec<u8> {
        let mut labels = vec![];
        put_label(&mut labels, "__name__", "up");
        put_label(&mut labels, "job", "ä");

        let mut buf = vec![];
        put_series(&mut buf, &labels, 1_760_400_000_000, 1.5);
        put_series(&mut buf, &labels, 0, 0.0);

        buf
    }

    #[test]
    fn what_is_encoded_is_walked_again() {
        let buf = request();
        let mut seen = vec![];
        walk(&buf, |labels, ts_ms, value| {
            seen.push((labels_of(labels).unwrap(), ts_ms, value))
        })
        .unwrap();

        let labels = vec![
            ("__name__".to_owned(), "up".to_owned()),
            ("job".to_owned(), "ä".to_owned()),
        ];

        assert_eq!(
            seen,
            [(labels.clone(), 1_760_400_000_000, 1.5), (labels, 0, 0.0)]
        );
    }

    #[test]
    fn cut_requests_are_errors_or_whole_series() {
        let buf = request();
        for end in 0..buf.len() {
            let mut samples = 0;
            let outcome = walk(&buf[..end], |_, _, _| samples += 1);
            let at_a_boundary = end == 0 || end == first_series_len(&buf);

            assert_eq!(outcome.is_ok(), at_a_boundary, "end={end}");
        }
    }

    #[test]
    fn unknown_fields_are_passed_over_unless_they_are_cut() {
        let unknown: [&[u8]; 4] = [
            &[0x18, 1],
            &[0x19, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 1, 7],
            &[0x1d, 0, 0, 0, 0],
        ];

        for field in unknown {
            let mut samples = 0;
            walk(&[field, &request()].concat(), |_, _, _| samples += 1).unwrap();

            assert_eq!(samples, 2, "{field:?}");
            assert!(
                walk(
                    &[&request(), &field[..field.len() - 1]].concat(),
                    |_, _, _| {}
                )
                .is_err(),
                "{field:?}"
            );
        }
    }

    fn first_series_len(buf: &[u8]) -> usize {
        let mut at = 1;
        get_bytes(buf, &mut at).unwrap();
        at
    }
}
