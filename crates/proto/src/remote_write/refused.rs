//! Series of a 2.0 request that are refused while the rest of the request is accepted.

use super::labels::LabelBytes;

/// A series or an exemplar that is left out of a request, and what is lost with it.
#[derive(Clone, Debug)]
pub struct RefusedSeries<'a> {
    pub fault: SeriesFault,
    pub samples: usize,
    pub histograms: usize,
    pub exemplars: usize,
    pub(super) labels: LabelBytes<'a>,
}

/// What is wrong with a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SeriesFault {
    #[error("the references of a series are not pairs. references=`{references}`")]
    OddReferences { references: usize },
    #[error(
        "a reference of a series names no symbol. reference=`{reference}`, symbols=`{symbols}`"
    )]
    NoSuchSymbol { reference: u32, symbols: usize },
    #[error("the references of an exemplar are not pairs. references=`{references}`")]
    OddExemplarReferences { references: usize },
    #[error(
        "a reference of an exemplar names no symbol. reference=`{reference}`, symbols=`{symbols}`"
    )]
    NoSuchExemplarSymbol { reference: u32, symbols: usize },
    #[error(
        "a reference of metadata names no symbol. reference=`{reference}`, symbols=`{symbols}`"
    )]
    NoSuchMetadataSymbol { reference: u32, symbols: usize },
    #[error("a series has no sample, no histogram and no exemplar")]
    Nothing,
    #[error("a series has samples and histograms; it may have one of them in a message")]
    Mixed,
}
