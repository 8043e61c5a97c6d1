//! Decodes `io.prometheus.write.v2.Request`.

use duramen_model::{METRIC_NAME, MetricType};

use super::labels::{LabelBytes, LabelSpan, LabelText};
use super::limits::{Budget, WriteLimits};
use super::request::{Mark, symbol};
use super::type_and_unit::{TypeAndUnit, TypeAndUnitLabels};
use super::{
    RefusedSeries, SentExemplar, SentHistogram, SentMetadata, SeriesFault, Version, WriteRequest,
    metadata,
};
use crate::Error;
use crate::wire::{Fields, Value, truncated};

/// The memory of a symbol: its slice, and its hash for the keys.
const SYMBOL_BYTES: usize = size_of::<&[u8]>() + size_of::<u128>();

impl<'a> WriteRequest<'a> {
    /// Like [`WriteRequest::decode_v1`], for 2.0. A series that breaks a rule of the message is put
    /// into [`WriteRequest::refused`]; it is not an error.
    pub fn decode_v2(
        body: &'a [u8],
        limits: &WriteLimits,
        types: TypeAndUnitLabels,
    ) -> Result<Self, Error> {
        decode(body, limits, types)
    }
}

fn decode<'a>(
    body: &'a [u8],
    limits: &WriteLimits,
    types: TypeAndUnitLabels,
) -> Result<WriteRequest<'a>, Error> {
    let mut budget = Budget::new(limits);

    // Symbols may come after the series that refer to them, so they are read first.
    let symbols = read_symbols(body, &mut budget)?;
    let mut decoder = Decoder {
        request: WriteRequest::default(),
        symbols,
        budget,
        types,
    };

    let mut fields = Fields::new("Request", body);
    while let Some((number, value)) = fields.next_field()? {
        if let (5, Value::Bytes(series)) = (number, value) {
            decoder.take_series(series)?;
        }
    }

    Ok(WriteRequest {
        text: LabelText::Symbols(decoder.symbols),
        ..decoder.request
    })
}

/// Reads all symbols and checks the fields of the request.
fn read_symbols<'a>(body: &'a [u8], budget: &mut Budget) -> Result<Vec<&'a [u8]>, Error> {
    let mut symbols = Vec::new();
    let mut has_series = false;
    let mut unknown = None;
    let mut fields = Fields::new("Request", body);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (4, Value::Bytes(symbol)) => {
                budget.pay(SYMBOL_BYTES)?;
                symbols.push(symbol);
            }
            (5, Value::Bytes(_)) => has_series = true,
            (4 | 5, _) => return Err(fields.refused("a field has the wrong wire type")),
            // These numbers are reserved in 2.0, so this is a message of 1.0.
            (1..=3, _) => {
                return Err(Error::OtherVersion {
                    number,
                    found: Version::One,
                    declared: Version::Two.message(),
                });
            }
            _ => unknown = unknown.or(Some(number)),
        }
    }

    match (symbols.first(), unknown) {
        (None, Some(number)) if !has_series => Err(Error::NothingKnown {
            message: "Request",
            number,
        }),
        (Some(first), _) if !first.is_empty() => Err(Error::FirstSymbol { bytes: first.len() }),
        _ => Ok(symbols),
    }
}

struct Decoder<'a> {
    request: WriteRequest<'a>,
    symbols: Vec<&'a [u8]>,
    budget: Budget,
    types: TypeAndUnitLabels,
}

/// A `Metadata` message. All its occurrences are merged, as protobuf requires.
#[derive(Default)]
struct MetadataFields {
    kind: u64,
    help: u32,
    unit: u32,
}

/// References that cannot be used.
enum Bad {
    Odd { references: usize },
    NoSuchSymbol { reference: u32, symbols: usize },
}

impl Bad {
    const fn of_series(self) -> SeriesFault {
        match self {
            Self::Odd { references } => SeriesFault::OddReferences { references },
            Self::NoSuchSymbol { reference, symbols } => {
                SeriesFault::NoSuchSymbol { reference, symbols }
            }
        }
    }

    const fn of_exemplar(self) -> SeriesFault {
        match self {
            Self::Odd { references } => SeriesFault::OddExemplarReferences { references },
            Self::NoSuchSymbol { reference, symbols } => {
                SeriesFault::NoSuchExemplarSymbol { reference, symbols }
            }
        }
    }
}

impl<'a> Decoder<'a> {
    fn take_series(&mut self, message: &'a [u8]) -> Result<(), Error> {
        let mark = self.request.mark();
        let refused = self.request.refused.len();
        let mut labels = LabelSpan::default();
        let mut metadata = None::<MetadataFields>;
        let mut fields = Fields::new("TimeSeries", message);

        loop {
            let field_start = fields.offset();
            let Some((number, value)) = fields.next_field()? else {
                break;
            };

            match (number, value) {
                (1, Value::Bytes(_) | Value::Varint(_)) => {
                    labels.seen(field_start, fields.offset())
                }
                (2, Value::Bytes(sample)) => {
                    self.request
                        .push_sample(sample, Version::Two, &mut self.budget)?
                }
                (3, Value::Bytes(message)) => {
                    let histogram = SentHistogram::read(message, Version::Two)?;
                    self.request.push_histogram(histogram, &mut self.budget)?
                }
                (4, Value::Bytes(exemplar)) => self.take_exemplar(exemplar)?,
                (5, Value::Bytes(message)) => {
                    read_metadata(message, metadata.get_or_insert_default())?
                }
                (1..=5, _) => return Err(fields.refused("a field has the wrong wire type")),
                _ => {}
            }
        }

        let mut labels = labels.of(message);
        let bad = self.check(&mut labels)?;

        for exemplar in &mut self.request.refused[refused..] {
            exemplar.labels = labels;
        }

        let fault = bad.map(Bad::of_series).or_else(|| {
            self.misfit(&mark, refused)
                .or_else(|| self.unidentified(metadata.as_ref()))
        });

        if let Some(fault) = fault {
            return self.refuse_series(fault, labels, &mark, refused);
        }

        if let Some(metadata) = &metadata {
            self.take_metadata(metadata, labels, &mark)?;
        }

        self.request.push_series(labels, &mark, &mut self.budget)?;
        self.note_type_and_unit(metadata.as_ref())
    }

    /// Counts the labels and finds what is wrong with their references.
    fn check(&self, labels: &mut LabelBytes<'a>) -> Result<Option<Bad>, Error> {
        let symbols = self.symbols.len();
        let mut references = 0;
        let mut missing = None;

        labels.each_reference(|reference| {
            references += 1;
            if reference as usize >= symbols {
                missing = missing.or(Some(reference));
            }
        })?;

        labels.count = u32::try_from(references / 2).unwrap_or(u32::MAX);
        if references % 2 == 1 {
            return Ok(Some(Bad::Odd { references }));
        }

        Ok(missing.map(|reference| Bad::NoSuchSymbol { reference, symbols }))
    }

    /// Checks the contents of a series that was read since `mark`. `refused` is the number of
    /// refused parts before it.
    fn misfit(&self, mark: &Mark, refused: usize) -> Option<SeriesFault> {
        let now = self.request.mark();
        if now.samples > mark.samples && now.histograms > mark.histograms {
            return Some(SeriesFault::Mixed);
        }

        let nothing = now == *mark && self.request.refused.len() == refused;
        nothing.then_some(SeriesFault::Nothing)
    }

    /// Checks the symbols of the metadata if they become labels of the series.
    fn unidentified(&self, sent: Option<&MetadataFields>) -> Option<SeriesFault> {
        match self.types {
            TypeAndUnitLabels::AsSent => None,
            TypeAndUnitLabels::FromMetadata => sent.and_then(|sent| self.missing_symbol(sent)),
        }
    }

    fn missing_symbol(&self, sent: &MetadataFields) -> Option<SeriesFault> {
        let symbols = self.symbols.len();
        let missing = [sent.help, sent.unit]
            .into_iter()
            .find(|at| *at as usize >= symbols);
        missing.map(|reference| SeriesFault::NoSuchMetadataSymbol { reference, symbols })
    }

    /// Records the type and unit that become labels of the series that was just pushed, if one was
    /// pushed.
    fn note_type_and_unit(&mut self, sent: Option<&MetadataFields>) -> Result<(), Error> {
        let request = &mut self.request;
        if self.types == TypeAndUnitLabels::AsSent
            || request.types_and_units.len() == request.series.len()
        {
            return Ok(());
        }

        self.budget.pay(size_of::<Option<TypeAndUnit>>())?;

        request.types_and_units.push(sent.and_then(|sent| {
            TypeAndUnit::known(
                MetricType::numbered(sent.kind),
                sent.unit,
                symbol(&self.symbols, sent.unit),
            )
        }));

        Ok(())
    }

    /// Removes the series that was read since `mark`, and its refused exemplars, and refuses the
    /// series as a whole.
    fn refuse_series(
        &mut self,
        fault: SeriesFault,
        labels: LabelBytes<'a>,
        mark: &Mark,
        refused: usize,
    ) -> Result<(), Error> {
        let now = self.request.mark();
        let lost = RefusedSeries {
            fault,
            samples: now.samples - mark.samples,
            histograms: now.histograms - mark.histograms,
            exemplars: now.exemplars - mark.exemplars + self.request.refused.len() - refused,
            labels,
        };

        self.request.roll_back(mark);
        self.request.refused.truncate(refused);
        self.refuse(lost)
    }

    fn refuse(&mut self, lost: RefusedSeries<'a>) -> Result<(), Error> {
        self.budget.pay(size_of::<RefusedSeries<'_>>())?;
        self.request.refused.push(lost);
        Ok(())
    }

    fn take_exemplar(&mut self, message: &'a [u8]) -> Result<(), Error> {
        let mut exemplar = SentExemplar::read(message, Version::Two)?;
        let fault = match self.check(&mut exemplar.labels)? {
            None => return self.request.push_exemplar(exemplar, &mut self.budget),
            Some(bad) => bad.of_exemplar(),
        };

        self.refuse(RefusedSeries {
            fault,
            samples: 0,
            histograms: 0,
            exemplars: 1,
            labels: LabelBytes::default(),
        })
    }

    /// Adds the metadata of a series if it has any. Senders repeat it for each series, so metadata
    /// equal to the previous one is left out.
    fn take_metadata(
        &mut self,
        sent: &MetadataFields,
        labels: LabelBytes<'a>,
        mark: &Mark,
    ) -> Result<(), Error> {
        if let Some(fault) = self.missing_symbol(sent) {
            return self.refuse(RefusedSeries {
                fault,
                samples: 0,
                histograms: 0,
                exemplars: 0,
                labels,
            });
        }

        let help = self.symbols[sent.help as usize];
        let unit = self.symbols[sent.unit as usize];
        let kind = MetricType::numbered(sent.kind);

        if kind == MetricType::Unknown && help.is_empty() && unit.is_empty() {
            return Ok(());
        }

        let Some(name) = self.metric_name(labels)? else {
            return Ok(());
        };

        let native = self.request.histograms.len() > mark.histograms;

        let family = if native {
            name
        } else {
            metadata::family_of(name, kind)
        };

        let metadata = SentMetadata {
            family,
            kind,
            help,
            unit,
        };

        if self.request.metadata.last() == Some(&metadata) {
            return Ok(());
        }

        self.request.push_metadata(metadata, &mut self.budget)
    }

    fn metric_name(&self, labels: LabelBytes<'a>) -> Result<Option<&'a [u8]>, Error> {
        let mut found = None;
        labels.each_pair(|name, value| {
            if symbol(&self.symbols, name) == METRIC_NAME.as_bytes() {
                found = Some(symbol(&self.symbols, value));
            }
        })?;

        Ok(found)
    }
}

/// Reads one occurrence of a `Metadata` message. Its fields overwrite earlier ones.
fn read_metadata(message: &[u8], sent: &mut MetadataFields) -> Result<(), Error> {
    let mut fields = Fields::new("Metadata", message);

    while let Some((number, value)) = fields.next_field()? {
        match (number, value) {
            (1, Value::Varint(kind)) => sent.kind = kind,
            (3, Value::Varint(help)) => sent.help = truncated(help),
            (4, Value::Varint(unit)) => sent.unit = truncated(unit),
            (1 | 3 | 4, _) => return Err(fields.refused("a field has the wrong wire type")),
            _ => {}
        }
    }

    Ok(())
}
