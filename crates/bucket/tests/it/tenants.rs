//! Every process gets the same tenant for a name.

use duramen_bucket::{Chain, GROUP, NotRenamed, Tenants, keys};
use duramen_model::TenantName;
use duramen_testkit::s3::{FaultPlan, S3};
use object_store::path::Path;

use crate::stores::{WRITER, bucket, server};

fn name(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

async fn open(s3: &S3) -> Tenants {
    Tenants::open(bucket(s3), WRITER).await.unwrap()
}

#[tokio::test]
async fn a_name_is_the_same_tenant_to_every_process_for_ever() {
    let s3 = server().await;
    let one = open(&s3).await;
    let two = open(&s3).await;
    let id = one.resolve_or_create(&name("a")).await.unwrap();

    assert_eq!(two.lookup(&name("a")), None);
    assert_eq!(two.resolve_or_create(&name("a")).await.unwrap(), id);
    assert_ne!(two.resolve_or_create(&name("b")).await.unwrap(), id);

    one.refresh().await.unwrap();
    assert_eq!(one.lookup(&name("b")), two.lookup(&name("b")));
    assert_eq!(open(&s3).await.all(), one.all());
}

#[tokio::test]
async fn a_known_name_costs_nothing_and_a_new_one_a_get_and_a_put() {
    let s3 = server().await;
    let tenants = open(&s3).await;
    s3.reset_counts();

    let id = tenants.resolve_or_create(&name("a")).await.unwrap();
    assert_eq!(
        (s3.counts().gets, s3.counts().puts, s3.counts().requests()),
        (1, 1, 2)
    );

    assert_eq!(tenants.resolve_or_create(&name("a")).await.unwrap(), id);
    assert_eq!(s3.counts().requests(), 2);
}

#[tokio::test]
async fn many_tenants_are_read_by_the_group() {
    let s3 = server().await;
    let tenants = open(&s3).await;

    for n in 0..600 {
        tenants
            .resolve_or_create(&name(&format!("tenant-{n}")))
            .await
            .unwrap();
    }

    s3.reset_counts();

    let again = open(&s3).await;
    assert_eq!((s3.counts().lists, s3.counts().gets), (1, 3));
    assert_eq!(again.all(), tenants.all());
    assert_eq!(again.all().len(), 600);
    assert_eq!(
        again.lookup(&name("tenant-256")),
        tenants.lookup(&name("tenant-256"))
    );
}

#[tokio::test]
async fn processes_that_race_under_faults_agree() {
    for seed in 0..3 {
        let s3 = server().await;
        let mut processes = Vec::new();

        for _ in 0..6 {
            processes.push(open(&s3).await);
        }

        s3.set_plan(FaultPlan::unlucky(seed, 0.05));

        let runs = processes.iter().enumerate().map(|(p, tenants)| async move {
            let mut ids = Vec::new();

            for n in 0..12 {
                // Each process has an order of its own.
                let n = (n + p * 5) % 12;
                ids.push((
                    n,
                    tenants
                        .resolve_or_create(&name(&format!("t{n}")))
                        .await
                        .unwrap(),
                ));
            }

            ids.sort_unstable();
            ids
        });

        let found = futures::future::join_all(runs).await;
        assert!(found.windows(2).all(|w| w[0] == w[1]), "seed {seed}");

        s3.clear_faults();
        assert_eq!(open(&s3).await.all().len(), 12, "seed {seed}");
    }
}

#[tokio::test]
async fn a_renamed_tenant_keeps_its_data_and_frees_its_name() {
    let s3 = server().await;
    let one = open(&s3).await;
    let two = open(&s3).await;
    let (a, b, c) = (name("a"), name("b"), name("c"));
    let id = one.resolve_or_create(&a).await.unwrap();
    let other = two.resolve_or_create(&b).await.unwrap();

    assert_eq!(
        two.rename(&c, &a).await.unwrap(),
        Err(NotRenamed::Unknown(c.clone()))
    );
    assert_eq!(
        two.rename(&a, &b).await.unwrap(),
        Err(NotRenamed::Taken(b.clone()))
    );
    assert_eq!(two.rename(&a, &c).await.unwrap(), Ok(id));

    // The other process uses the name that it knows until it looks.
    assert_eq!(one.resolve_or_create(&a).await.unwrap(), id);
    one.refresh().await.unwrap();
    let next = one.resolve_or_create(&a).await.unwrap();
    assert!(next != id && next != other);

    for tenants in [&open(&s3).await, &one] {
        assert_eq!(tenants.lookup(&c), Some(id));
        assert_eq!(tenants.name_of(id), Some(c.clone()));
        assert_eq!(tenants.lookup(&a), Some(next));

        let names: Vec<_> = tenants
            .all()
            .into_iter()
            .map(|tenant| tenant.name)
            .collect();
        assert_eq!(
            names,
            [c.clone(), b.clone(), a.clone()],
            "in the order of their adding"
        );
    }

    // A log that has the old name does not bring it back.
    assert_eq!(one.restore(&name("old"), id).await.unwrap(), id);
    assert_eq!(one.lookup(&name("old")), None);
}

#[tokio::test]
async fn the_name_of_a_deleted_tenant_is_free_at_once() {
    let s3 = server().await;
    let one = open(&s3).await;
    let a = name("a");
    let id = one.resolve_or_create(&a).await.unwrap();

    let deleted = one.delete(&a).await.unwrap().unwrap();
    assert_eq!((deleted.id, &deleted.name), (id, &a));
    assert_eq!(one.lookup(&a), None);
    assert_eq!(one.delete(&a).await.unwrap(), None);

    let next = one.resolve_or_create(&a).await.unwrap();
    assert_ne!(next, id);

    let again = open(&s3).await;
    assert_eq!(again.deleted(), [deleted]);
    assert!(again.is_deleted(id) && !again.is_deleted(next));
    assert_eq!((again.count(), again.lookup(&a)), (1, Some(next)));

    // A log of a deleted tenant does not bring it back.
    assert_eq!(again.restore(&name("b"), id).await.unwrap(), id);
    assert_eq!((again.count(), again.lookup(&name("b"))), (1, None));
}

/// An earlier version must not take a renamed tenant for a new one.
#[tokio::test]
async fn a_group_with_changes_has_a_format_of_its_own() {
    let s3 = server().await;
    let tenants = open(&s3).await;

    let format = async |slot: u64| {
        let chain = Chain::new(bucket(&s3), Path::from(keys::TENANTS));
        let entry = chain.get(slot).await.unwrap().unwrap();
        let body: serde_json::Value = serde_json::from_slice(&entry.body).unwrap();
        body["format"].clone()
    };

    for n in 0..GROUP {
        let name = name(&format!("t{n}"));
        tenants.resolve_or_create(&name).await.unwrap();
    }

    // The tenant was added in an earlier group.
    tenants
        .rename(&name("t0"), &name("renamed"))
        .await
        .unwrap()
        .unwrap();
    tenants.resolve_or_create(&name("after")).await.unwrap();

    assert_eq!(format(GROUP).await, 1);
    assert_eq!(format(GROUP + 1).await, 2);
    assert_eq!(format(GROUP + 2).await, 2);
}
