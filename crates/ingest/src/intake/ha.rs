//! Pairs of equal Prometheus servers. One replica of each cluster is elected, and the samples of
//! the others are left out.
//!
//! The elections are in the bucket, in a chain for each tenant, so that a restart and other
//! processes agree. The time when an elected replica was last heard is known to this process only.
//! While the elected replica sends, the bucket is not asked.

mod elections;
mod gate;
mod roster;

use duramen_bucket::{Author, Bucket, Chain, Created, WriterIdentity, keys};
use duramen_limits::HaLimits;
use duramen_model::TenantId;
use duramen_proto::WriteRequest;
use parking_lot::Mutex;

use self::elections::{Elections, Judgement, View};
pub(crate) use self::gate::{Gate, Verdict};
use self::roster::{Member, Roster};
use crate::error::Error;

/// The pairs of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    roster: Mutex<Roster>,
    /// `None` until the bucket was read.
    view: Mutex<Option<View>>,
    /// Locked by the request that asks the bucket.
    electing: tokio::sync::Mutex<()>,
}

/// The other parts that an election needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Electorate<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) bucket: &'a Bucket,
    pub(crate) writer: WriterIdentity,
}

impl Electorate<'_> {
    fn chain(&self) -> Chain {
        Chain::new(self.bucket.clone(), keys::ha(self.tenant))
    }

    fn now(&self) -> std::time::Duration {
        self.bucket.clock().monotonic()
    }
}

impl Pairs {
    /// Returns the memory of the roster, which senders fill, in bytes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.roster.lock().bytes()
    }

    /// Decides for each series of `request` whether its samples are taken. `seed` is the seed of
    /// the keys in the head's registry.
    ///
    /// Requests: none while the elected replicas send. 1 LIST and 1 GET for the first pair of a
    /// tenant in a process. 1 PUT for an election, and 1 GET more if another process was first. 1
    /// GET if the elected replica sends again after a silence.
    ///
    /// # Errors
    /// The elections cannot be read from the bucket. Nothing of the request may be stored.
    pub(crate) async fn gate(
        &self,
        request: &WriteRequest<'_>,
        limits: &HaLimits,
        seed: u64,
        electorate: Electorate<'_>,
    ) -> Result<Gate, Error> {
        if !limits.enabled {
            return Ok(Gate::open());
        }

        let (members, senders) = self.roster.lock().members(request, limits, seed);
        let mut judged = Vec::with_capacity(senders.len());

        for sender in senders {
            let judgement = self.judge(&sender, limits, electorate).await?;
            judged.push((sender, judgement));
        }

        Ok(Gate::new(members, judged, limits, seed))
    }

    /// Returns whether the member's samples are taken now.
    async fn judge(
        &self,
        member: &Member,
        limits: &HaLimits,
        electorate: Electorate<'_>,
    ) -> Result<Judgement, Error> {
        if let Some(judgement) = self.known(member, limits, electorate) {
            return Ok(judgement);
        }

        let _electing = self.electing.lock().await;
        let chain = electorate.chain();

        loop {
            // The request that had the lock before may have found out.
            match self.known(member, limits, electorate) {
                Some(judgement) => return Ok(judgement),
                None => self.ask(&chain, member, limits, electorate).await?,
            }
        }
    }

    /// Returns the judgement if it needs no request to the bucket.
    fn known(
        &self,
        member: &Member,
        limits: &HaLimits,
        electorate: Electorate<'_>,
    ) -> Option<Judgement> {
        let mut view = self.view.lock();
        let judgement =
            view.as_mut()?
                .judge(&member.cluster, &member.replica, electorate.now(), limits);
        matches!(
            judgement,
            Judgement::Take | Judgement::Drop | Judgement::OverLimit
        )
        .then_some(judgement)
    }

    /// Does one step towards a judgement: reads the elections from the bucket, or elects.
    async fn ask(
        &self,
        chain: &Chain,
        member: &Member,
        limits: &HaLimits,
        electorate: Electorate<'_>,
    ) -> Result<(), Error> {
        let Some((judgement, known)) = self.view.lock().as_mut().map(|view| {
            let judgement = view.judge(&member.cluster, &member.replica, electorate.now(), limits);
            (judgement, view.elections.clone())
        }) else {
            let elections = load(chain).await?;
            *self.view.lock() = Some(View::new(elections, electorate.now()));
            return Ok(());
        };

        let news = match judgement {
            Judgement::Take | Judgement::Drop | Judgement::OverLimit => return Ok(()),
            Judgement::Refresh => next(chain, &known).await?,
            Judgement::Elect => Some(elect(chain, &known, member, electorate).await?),
        };

        let mut view = self.view.lock();
        let view = view
            .as_mut()
            .expect("a view that was there is never removed");

        match news {
            Some(elections) => view.adopt(elections, electorate.now()),
            None => view.confirm(&member.cluster, electorate.now()),
        }

        Ok(())
    }
}

/// Reads the current elections. Requests: 1 LIST for each 1,000 elections of the tenant, and 1 GET.
async fn load(chain: &Chain) -> Result<Elections, Error> {
    let Some(slot) = chain.last(None).await? else {
        return Ok(Elections::default());
    };
    let missing = || duramen_bucket::Error::Corrupt {
        key: chain.key(slot).to_string(),
        fault: "missing".to_owned(),
    };

    let entry = chain.get(slot).await?.ok_or_else(missing)?;
    Ok(Elections::decode(chain, &entry)?)
}

/// Elects `member` in the slot after `known`. Returns the elections of that slot, which may be those
/// of another process. Requests: 1 PUT, and 1 GET if another process was first.
async fn elect(
    chain: &Chain,
    known: &Elections,
    member: &Member,
    electorate: Electorate<'_>,
) -> Result<Elections, Error> {
    let clock = electorate.bucket.clock();
    let elections = known.with(&member.cluster, &member.replica, clock.now_ms());
    let author = Author::new(electorate.writer.writer, &**clock);

    let created = chain
        .create(elections.slot, author, &elections.encode())
        .await?;

    match created {
        Created::Ours => {
            tracing::info!(
                cluster = &*member.cluster,
                replica = &*member.replica,
                "a replica was elected"
            );

            Ok(elections)
        }
        Created::Theirs(entry) => Ok(Elections::decode(chain, &entry)?),
    }
}

/// Reads the elections after `known`, if there are any. Requests: 1 GET.
async fn next(chain: &Chain, known: &Elections) -> Result<Option<Elections>, Error> {
    let entry = chain.get(known.slot + 1).await?;
    Ok(entry
        .map(|entry| Elections::decode(chain, &entry))
        .transpose()?)
}

#[cfg(test)]
mod tests;
