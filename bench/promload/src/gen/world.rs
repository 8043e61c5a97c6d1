//! A cluster: nodes, each with its exporters and the pods that run on it.

use super::Options;
use super::behaviour::Behaviour;
use super::node::node_exporter;
use super::pod::{application, cadvisor, kube_state};
use super::random::Random;
use super::series::{Builder, Group, Labels, fnv};

const CLUSTER: &str = "prod-eu-1";
const NODES_PER_SUBNET: usize = 250;
const PODS_PER_NODE: usize = 12;
const APPLICATIONS: [&str; 24] = [
    "checkout",
    "cart",
    "catalog",
    "search",
    "payments",
    "auth",
    "gateway",
    "profile",
    "recommend",
    "shipping",
    "inventory",
    "pricing",
    "email",
    "notify",
    "ledger",
    "fraud",
    "reviews",
    "media",
    "session",
    "orders",
    "billing",
    "reports",
    "config",
    "edge",
];
const NAMESPACES: [&str; 6] = ["shop", "platform", "data", "identity", "edge", "ops"];

/// Something that is scraped as a whole.
#[derive(Debug)]
pub(super) struct Target {
    /// When in the interval it is scraped.
    pub(super) phase_ms: i64,
    pub(super) groups: Vec<Group>,
    pub(super) random: Random,
    /// When in the day it is busy.
    pub(super) load_phase: f64,
}

/// The exporter from which a target's series of a pod come.
#[derive(Clone, Copy, Debug)]
enum Role {
    Application,
    Cadvisor,
    KubeState,
}

#[derive(Debug)]
struct Pod {
    namespace: &'static str,
    application: &'static str,
    node: usize,
    name: String,
    ip: String,
    /// The targets that have series of this pod.
    targets: Vec<(usize, Role)>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) labels: Labels,
    pub(super) targets: Vec<Target>,
    pods: Vec<Pod>,
    random: Random,
}

impl World {
    /// Makes as many nodes as the wanted number of series takes.
    pub(super) fn new(options: &Options) -> Self {
        let labels = Labels::new(options.shards);
        let mut world = Self {
            labels,
            targets: vec![],
            pods: vec![],
            random: Random::new(options.seed),
        };

        let mut left = options.series;
        let mut node = 0;

        while left > 0 {
            world.add_node(node, &mut left, options);
            node += 1;
        }

        world
    }

    pub(super) fn pods(&self) -> usize {
        self.pods.len()
    }

    pub(super) fn series(&self) -> usize {
        self.targets
            .iter()
            .flat_map(|target| &target.groups)
            .map(|group| group.series.len())
            .sum()
    }

    /// True with the given probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.random.unit() < probability
    }

    fn add_target(&mut self, interval_ms: i64) -> usize {
        let random = Random::new(self.random.bits());
        let phase_ms = self.random.below(interval_ms as u64) as i64;
        let load_phase = self.random.unit() * 1.5;

        self.targets.push(Target {
            phase_ms,
            groups: vec![],
            random,
            load_phase,
        });

        self.targets.len() - 1
    }

    fn add_node(&mut self, node: usize, left: &mut usize, options: &Options) {
        let now_s = options.start_ms as f64 / 1e3;
        let target = self.add_target(options.interval_ms);
        let instance = format!("{}:9100", node_address(node));

        let base = vec![
            ("cluster", CLUSTER.to_owned()),
            ("instance", instance),
            ("job", "node-exporter".to_owned()),
            ("node", node_name(node)),
        ];

        self.targets[target].groups = self.build(left, base, None, |b| node_exporter(b, now_s));

        let cadvisor = self.add_target(options.interval_ms);
        let kube_state = self.add_target(options.interval_ms);

        for i in 0..PODS_PER_NODE {
            let application = self.random.below(APPLICATIONS.len() as u64) as usize;
            let (name, ip) = self.pod_name(APPLICATIONS[application], node);
            let mut targets = vec![(cadvisor, Role::Cadvisor), (kube_state, Role::KubeState)];

            if i % 2 == 0 {
                targets.push((self.add_target(options.interval_ms), Role::Application));
            }

            let pod = self.pods.len();
            self.pods.push(Pod {
                namespace: NAMESPACES[application % NAMESPACES.len()],
                application: APPLICATIONS[application],
                node,
                name,
                ip,
                targets: targets.clone(),
            });

            for (target, role) in targets {
                let groups = self.pod_groups(left, pod, role, now_s);
                self.targets[target].groups.extend(groups);
            }
        }
    }

    fn build(
        &mut self,
        left: &mut usize,
        base: Vec<(&str, String)>,
        pod: Option<usize>,
        add: impl FnOnce(&mut Builder<'_>),
    ) -> Vec<Group> {
        let mut builder = Builder {
            labels: &mut self.labels,
            rng: &mut self.random,
            left: *left,
            base,
            pod,
            out: vec![],
        };

        add(&mut builder);
        *left = builder.left;
        builder.out
    }

    fn pod_groups(&mut self, left: &mut usize, id: usize, role: Role, now_s: f64) -> Vec<Group> {
        let pod = &self.pods[id];
        let application_name = pod.application;
        let node = node_address(pod.node);
        let uid = format!("{:016x}", fnv(pod.name.as_bytes()));

        let mut base = vec![
            ("cluster", CLUSTER.to_owned()),
            ("container", application_name.to_owned()),
            ("namespace", pod.namespace.to_owned()),
            ("node", node_name(pod.node)),
            ("pod", pod.name.clone()),
        ];

        match role {
            Role::Application => {
                base.extend([
                    ("instance", format!("{}:8080", pod.ip)),
                    ("job", application_name.to_owned()),
                ]);

                self.build(left, base, Some(id), |b| {
                    application(b, now_s, application_name)
                })
            }
            Role::Cadvisor => {
                base.extend([
                    ("id", format!("/kubepods/burstable/pod{uid}")),
                    (
                        "image",
                        format!("registry.local/{}/{application_name}:1.42.0", pod.namespace),
                    ),
                    ("instance", format!("{node}:10250")),
                    ("job", "kubelet".to_owned()),
                    ("metrics_path", "/metrics/cadvisor".to_owned()),
                ]);

                self.build(left, base, Some(id), |b| cadvisor(b, now_s))
            }
            Role::KubeState => {
                base.extend([
                    ("instance", "10.9.9.9:8080".to_owned()),
                    ("job", "kube-state-metrics".to_owned()),
                    ("uid", uid),
                ]);

                self.build(left, base, Some(id), |b| kube_state(b, now_s))
            }
        }
    }

    fn pod_name(&mut self, application: &str, node: usize) -> (String, String) {
        let replica_set = fnv(application.as_bytes()) & 0xf_ffff_ffff;
        let name = format!("{application}-{replica_set:x}-{}", self.random.suffix(5));
        let host = 2 + self.random.below(250);

        (
            name,
            format!(
                "10.{}.{}.{host}",
                100 + node / NODES_PER_SUBNET,
                node % NODES_PER_SUBNET
            ),
        )
    }

    /// Replaces a pod by one of another name; returns the numbers of the series that have ended.
    pub(super) fn replace_pod(&mut self, id: usize, now_s: f64) -> Vec<usize> {
        let (name, ip) = self.pod_name(self.pods[id].application, self.pods[id].node);
        (self.pods[id].name, self.pods[id].ip) = (name, ip);

        let mut all_ended = vec![];

        for (target, role) in self.pods[id].targets.clone() {
            let ended = self.targets[target]
                .groups
                .extract_if(.., |group| group.pod == Some(id));
            let ended: Vec<usize> = ended.flat_map(|group| group.series).collect();
            let mut groups = self.pod_groups(&mut ended.len(), id, role, now_s);

            groups.iter_mut().for_each(|group| group.behaviour.reset());
            self.targets[target].groups.extend(groups);
            all_ended.extend(ended);
        }

        all_ended
    }
}

impl Target {
    /// The process behind the target has restarted.
    pub(super) fn restart(&mut self) {
        self.groups
            .iter_mut()
            .for_each(|group| group.behaviour.reset());
    }
}

impl Group {
    /// Whether this is the series that tells about the scrape itself.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.behaviour, Behaviour::Up)
    }
}

fn node_name(node: usize) -> String {
    format!("node-{node:04}")
}

fn node_address(node: usize) -> String {
    format!(
        "10.{}.{}.7",
        node / NODES_PER_SUBNET,
        node % NODES_PER_SUBNET
    )
}
