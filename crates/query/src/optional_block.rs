//! A block that a partial answer leaves out if it cannot be read.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use duramen_model::FamilyMetadata;
use duramen_source::undecoded::as_undecoded;
use duramen_source::{
    Error, LeftOut, PresenceBatch, PresenceStream, RollupSource, SeriesBatch, SeriesExemplars,
    SeriesRequest, SeriesSource, SeriesStream, SeriesSummary, UndecodedStream,
};
use futures::{Stream, StreamExt, stream};

/// A block that gives nothing once it could not be read. Errors that are not about stored data,
/// such as a want of memory, pass.
#[derive(Clone, Debug)]
pub(crate) struct OptionalBlock<S> {
    block: Arc<S>,
    place: Place,
}

/// The block in the account of the request.
#[derive(Clone, Debug)]
struct Place {
    name: Arc<str>,
    left_out: Arc<LeftOut>,
}

impl<S: SeriesSource> OptionalBlock<S> {
    /// Opens a block. `None` if it is left out.
    pub(crate) async fn open(
        name: Arc<str>,
        left_out: Arc<LeftOut>,
        open: impl Future<Output = Result<S, Error>>,
    ) -> Result<Option<Self>, Error> {
        let place = Place { name, left_out };
        if place.is_left_out() {
            return Ok(None);
        }

        match open.await {
            Ok(block) => {
                let block = Arc::new(block);
                Ok(Some(Self { block, place }))
            }
            Err(error) => place.leave_out(error).map(|()| None),
        }
    }
}

impl Place {
    fn is_left_out(&self) -> bool {
        self.left_out.contains(&self.name)
    }

    /// Leaves the block out because of `error`. Returns errors that are no reason for it.
    fn leave_out(&self, error: Error) -> Result<(), Error> {
        let cause = duramen_block::Error::in_source(&error);
        let Some(why) = cause.and_then(duramen_block::Error::unreadable) else {
            return Err(error);
        };

        self.left_out.leave_out(&self.name, why);
        Ok(())
    }

    /// Returns the whole answer of the block, or an empty one if it is left out.
    async fn whole<T: Default>(
        &self,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        if self.is_left_out() {
            return Ok(T::default());
        }

        match answer.await {
            Ok(answer) if self.left_out.admit(&self.name) => Ok(answer),
            Ok(_) => Ok(T::default()),
            Err(error) => self.leave_out(error).map(|()| T::default()),
        }
    }

    /// Returns the batches of the block up to where it is left out. `is_empty`: whether a batch has
    /// no series.
    fn while_readable<T: Send + 'static>(
        self,
        batches: Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>>,
        is_empty: fn(&T) -> bool,
    ) -> Pin<Box<dyn Stream<Item = Result<T, Error>> + Send>> {
        Box::pin(stream::try_unfold(
            (batches, self),
            move |(mut batches, place)| async move {
                match batches.next().await {
                    Some(Ok(batch)) => {
                        let goes_on = is_empty(&batch) || place.left_out.admit(&place.name);
                        Ok(goes_on.then_some((batch, (batches, place))))
                    }
                    Some(Err(error)) => place.leave_out(error).map(|()| None),
                    None => Ok(None),
                }
            },
        ))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SeriesSource> SeriesSource for OptionalBlock<S> {
    async fn select(&self, request: &SeriesRequest) -> Result<SeriesStream, Error> {
        if self.place.is_left_out() {
            return Ok(Box::pin(stream::empty()));
        }

        match self.block.select(request).await {
            Ok(batches) => {
                let place = self.place.clone();
                Ok(place.while_readable(batches, SeriesBatch::is_empty))
            }
            Err(error) => {
                self.place.leave_out(error)?;
                Ok(Box::pin(stream::empty()))
            }
        }
    }

    /// The batches are decoded here, where a block that cannot be decoded is left out.
    async fn select_undecoded(&self, request: &SeriesRequest) -> Result<UndecodedStream, Error> {
        self.select(request).await.map(as_undecoded)
    }

    async fn presence(
        &self,
        request: &SeriesRequest,
        from_ms: i64,
    ) -> Result<Option<PresenceStream>, Error> {
        if self.place.is_left_out() {
            return Ok(Some(Box::pin(stream::empty())));
        }

        match self.block.presence(request, from_ms).await {
            Ok(batches) => Ok(batches.map(|batches| {
                let place = self.place.clone();
                place.while_readable(batches, PresenceBatch::is_empty)
            })),
            Err(error) => {
                self.place.leave_out(error)?;
                Ok(Some(Box::pin(stream::empty())))
            }
        }
    }

    async fn exemplars(&self, request: &SeriesRequest) -> Result<Vec<SeriesExemplars>, Error> {
        self.place.whole(self.block.exemplars(request)).await
    }

    async fn metadata(&self) -> Result<Vec<FamilyMetadata>, Error> {
        self.place.whole(self.block.metadata()).await
    }

    async fn summaries(&self, request: &SeriesRequest) -> Result<Vec<SeriesSummary>, Error> {
        self.place.whole(self.block.summaries(request)).await
    }

    async fn label_names(&self, request: &SeriesRequest) -> Result<BTreeSet<String>, Error> {
        self.place.whole(self.block.label_names(request)).await
    }

    async fn label_values(
        &self,
        request: &SeriesRequest,
        name: &str,
    ) -> Result<BTreeSet<String>, Error> {
        self.place
            .whole(self.block.label_values(request, name))
            .await
    }

    async fn ttl_max_ms(&self) -> Result<i64, Error> {
        self.place.whole(self.block.ttl_max_ms()).await
    }

    fn rollups(&self) -> Option<&dyn RollupSource> {
        None
    }
}

#[cfg(test)]
mod tests;
