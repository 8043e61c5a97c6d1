//! Every process gets the same tenant for a name.

use duramen_bucket::Tenants;
use duramen_model::TenantName;
use duramen_testkit::s3::{FaultPlan, S3};

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
