//! Floats, encoded as the bits that differ from the previous float.
//!
//! ```text
//! float := 0                                              the same bits
//!        | 10 window-bits                                 what differs lies in the window of before
//!        | 11 leading:5 width:6 window-bits               a new window; a width of 0 is 64
//! ```

use super::bits::{BitReader, BitWriter};

/// The previous float, and the window of bits that changed last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Xored {
    bits: u64,
    /// The number of zero bits before and after the window. `None` before the first change.
    window: Option<(u32, u32)>,
}

/// The maximum number of leading zeros that is written, because the field has 5 bits.
const LEADING_MAX: u32 = 31;

impl Xored {
    pub(super) const fn new(first: f64) -> Self {
        Self {
            bits: first.to_bits(),
            window: None,
        }
    }

    pub(super) const fn value(self) -> f64 {
        f64::from_bits(self.bits)
    }

    /// Appends `value` and continues from it.
    pub(super) fn put(&mut self, out: &mut BitWriter, value: f64) {
        let differing = value.to_bits() ^ self.bits;
        self.bits = value.to_bits();

        if differing == 0 {
            return out.put(0, 1);
        }

        let leading = differing.leading_zeros().min(LEADING_MAX);
        let trailing = differing.trailing_zeros();

        if let Some((before, behind)) = self.window
            && before <= leading
            && behind <= trailing
        {
            out.put(0b10, 2);
            return out.put(differing >> behind, 64 - before - behind);
        }

        self.window = Some((leading, trailing));

        let width = 64 - leading - trailing;
        out.put(0b11, 2);
        out.put(u64::from(leading), 5);
        out.put(u64::from(width), 6);
        out.put(differing >> trailing, width);
    }

    /// Reads the next value and continues from it.
    pub(super) fn take(&mut self, input: &mut BitReader<'_>) -> Option<f64> {
        if input.bit()? {
            if input.bit()? {
                let leading = u32::try_from(input.take(5)?).ok()?;
                let width = match u32::try_from(input.take(6)?).ok()? {
                    0 => 64,
                    width => width,
                };

                self.window = Some((leading, 64u32.checked_sub(leading + width)?));
            }

            let (leading, trailing) = self.window?;
            self.bits ^= input.take(64 - leading - trailing)? << trailing;
        }

        Some(self.value())
    }
}
