//! Which series is of which replica, known by the bytes that were sent.

use std::sync::Arc;

use duramen_limits::HaLimits;
use duramen_proto::WriteRequest;
use hashbrown::HashMap as FastMap;
use xxhash_rust::xxh3::Xxh3Builder;

/// A replica of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Member {
    pub(super) cluster: Arc<str>,
    pub(super) replica: Arc<str>,
}

/// The number of a member in its roster.
type MemberId = u32;

/// Forms of bytes that are remembered: 32 bytes each. Beyond it all are forgotten, which costs one walk through their labels each.
const SENT_MAX: usize = 4 << 20;
/// Members that are remembered, whether elected or beyond the limit: their labels may be long, and a hostile sender makes them up.
const MEMBERS_MAX: usize = 1 << 16;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// The labels that the rest was read by.
    labels: (String, String),
    /// By the key of the bytes; `None` for series that are of no pair.
    sent: FastMap<u128, Option<MemberId>, Xxh3Builder>,
    members: Vec<Member>,
    ids: FastMap<Member, MemberId, Xxh3Builder>,
}

impl Roster {
    /// For each series of the request its place among the members that send it, and these; `None` for a series of no pair.
    pub(super) fn members(
        &mut self,
        request: &WriteRequest<'_>,
        limits: &HaLimits,
        seed: u64,
    ) -> (Vec<Option<usize>>, Vec<Member>) {
        self.read_by(limits);
        let mut senders = Vec::new();
        let mut places: FastMap<MemberId, usize, Xxh3Builder> = FastMap::default();
        let mut keys = request.keys(seed);
        let of_series = (0..request.series.len()).map(|at| {
            let id = self.member(keys.of(at), request, at)?;
            Some(*places.entry(id).or_insert_with(|| {
                senders.push(self.members[id as usize].clone());
                senders.len() - 1
            }))
        });
        let of_series = of_series.collect();
        (of_series, senders)
    }

    /// Forgets what was read by other labels.
    fn read_by(&mut self, limits: &HaLimits) {
        let (cluster, replica) = &self.labels;
        let is_full = self.sent.len() > SENT_MAX || self.members.len() > MEMBERS_MAX;
        if *cluster != limits.cluster_label || *replica != limits.replica_label || is_full {
            let labels = (limits.cluster_label.clone(), limits.replica_label.clone());
            *self = Self { labels, ..Self::default() };
        }
    }

    fn member(&mut self, key: u128, request: &WriteRequest<'_>, at: usize) -> Option<MemberId> {
        if let Some(known) = self.sent.get(&key) {
            return *known;
        }
        let member = self.read(request, at).map(|member| self.id(member));
        self.sent.insert(key, member);
        member
    }

    /// The member that sends a series. Labels that cannot be read are refused elsewhere; an empty one is as good as absent.
    fn read(&self, request: &WriteRequest<'_>, at: usize) -> Option<Member> {
        let pairs = request.labels(at).ok()?;
        let value = |label: &str| {
            let (_, value) = pairs.iter().find(|(name, _)| *name == label.as_bytes())?;
            std::str::from_utf8(value).ok().filter(|value| !value.is_empty()).map(Arc::from)
        };
        Some(Member { cluster: value(&self.labels.0)?, replica: value(&self.labels.1)? })
    }

    fn id(&mut self, member: Member) -> MemberId {
        *self.ids.entry(member).or_insert_with_key(|member| {
            self.members.push(member.clone());
            MemberId::try_from(self.members.len() - 1).expect("there are fewer members than series")
        })
    }
}
