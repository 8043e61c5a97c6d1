//! The roster: which series belongs to which replica, by the bytes that were sent.

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

/// The number of remembered series, by their bytes: 32 bytes each. Beyond it all are forgotten, and
/// the labels of each are read once more.
const SENT_MAX: usize = 4 << 20;
/// The number of remembered members, whether elected or beyond the limit. A hostile sender can
/// invent them.
const MEMBERS_MAX: usize = 1 << 16;
/// The bytes of the members' labels, which can be as long as a request.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// The memory of a remembered series, and of a member without its labels.
const SENT_BYTES: usize = 56;
const MEMBER_BYTES: usize = 192;

/// The members of a tenant's pairs, and the member of each series.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// The names of the cluster label and the replica label with which the rest was read.
    labels: (String, String),
    /// By the key of the bytes; `None` for a series that belongs to no pair.
    sent: FastMap<u128, Option<MemberId>, Xxh3Builder>,
    members: Vec<Member>,
    ids: FastMap<Member, MemberId, Xxh3Builder>,
    /// The bytes of the labels of all members.
    text_bytes: usize,
}

impl Roster {
    /// Returns the index of each series' member, and the members that send the request; `None` for
    /// a series that belongs to no pair.
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

        let indices = (0..request.series.len()).map(|at| {
            let id = self.member(keys.of(at), request, at)?;
            Some(*places.entry(id).or_insert_with(|| {
                senders.push(self.members[id as usize].clone());
                senders.len() - 1
            }))
        });

        let indices = indices.collect();
        (indices, senders)
    }

    /// Returns the memory of the roster in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.sent.len() * SENT_BYTES + self.members.len() * MEMBER_BYTES + self.text_bytes
    }

    /// Forgets everything if the names of the labels have changed, or if there is too much.
    fn read_by(&mut self, limits: &HaLimits) {
        let (cluster, replica) = &self.labels;
        let is_full = self.sent.len() > SENT_MAX
            || self.members.len() > MEMBERS_MAX
            || self.text_bytes > TEXT_BYTES_MAX;

        if *cluster != limits.cluster_label || *replica != limits.replica_label || is_full {
            let labels = (limits.cluster_label.clone(), limits.replica_label.clone());
            *self = Self {
                labels,
                ..Self::default()
            };
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

    /// Returns the member that sends a series. Unreadable labels are refused at the admission; an
    /// empty label counts as absent.
    fn read(&self, request: &WriteRequest<'_>, at: usize) -> Option<Member> {
        let pairs = request.labels(at).ok()?;
        let value = |label: &str| {
            let (_, value) = pairs.iter().find(|(name, _)| *name == label.as_bytes())?;
            std::str::from_utf8(value)
                .ok()
                .filter(|value| !value.is_empty())
                .map(Arc::from)
        };

        Some(Member {
            cluster: value(&self.labels.0)?,
            replica: value(&self.labels.1)?,
        })
    }

    fn id(&mut self, member: Member) -> MemberId {
        *self.ids.entry(member).or_insert_with_key(|member| {
            self.text_bytes += member.cluster.len() + member.replica.len();
            self.members.push(member.clone());
            MemberId::try_from(self.members.len() - 1).expect("there are fewer members than series")
        })
    }
}

#[cfg(test)]
mod tests {
    use duramen_proto::WriteLimits;
    use duramen_testkit::prompb::Message;
    use duramen_testkit::prompb::v1::{Label, Sample, TimeSeries, WriteRequest as Sent};

    use super::*;

    #[test]
    fn names_of_replicas_that_a_sender_makes_up_take_a_bounded_memory() {
        let mut roster = Roster::default();
        let limits = HaLimits {
            enabled: true,
            ..HaLimits::default()
        };

        let long = "x".repeat(100_000);

        for at in 0..100 {
            let label = |name: &str, value: String| Label {
                name: name.to_owned(),
                value,
            };

            let replica = label(&limits.replica_label, format!("{at}{long}"));
            let labels = vec![replica, label(&limits.cluster_label, format!("{at}{long}"))];

            let samples = vec![Sample {
                timestamp: 1,
                value: 1.0,
                ttl_ms: 0,
            }];

            let series = TimeSeries {
                labels,
                samples,
                ..TimeSeries::default()
            };

            let body = Sent {
                timeseries: vec![series],
                ..Sent::default()
            }
            .encode_to_vec();

            let request =
                WriteRequest::decode_v1(&body, &WriteLimits::of_body(body.len())).unwrap();
            assert_eq!(roster.members(&request, &limits, 1).0, [Some(0)]);

            assert!(
                roster.bytes() < TEXT_BYTES_MAX + 300_000,
                "{}",
                roster.bytes()
            );
        }
    }
}
