//! Tenants are renamed and deleted while they are written to.

use duramen_bucket::NotRenamed;
use duramen_ingest::{NotCloned, Remains};
use duramen_model::{TenantId, TenantName};
use duramen_proto::Version;
use duramen_source::Heads;

use crate::body::one;
use crate::system::{Held, NOW_MS, System, tenant};

fn named(text: &str) -> TenantName {
    TenantName::parse(text).unwrap()
}

async fn write(system: &System, name: &TenantName, metric: &str) {
    let body = one(metric, NOW_MS, 1.0);
    let written = system.ingester.write(name, Version::One, &body).await;
    assert!(written.unwrap().rejected.is_empty());
}

/// How many parts a head has in memory.
async fn parts(system: &System, id: TenantId) -> usize {
    let snapshots = system.ingester.snapshots(id).await.unwrap();
    snapshots.iter().map(|snapshot| snapshot.parts.len()).sum()
}

#[tokio::test]
async fn a_renamed_tenant_goes_on_with_what_it_has() {
    let system = System::start().await;
    let (old, new) = (tenant(), named("new"));
    write(&system, &old, "before").await;
    let id = system.tenant_id();

    let renamed = system.ingester.rename_tenant(&old, &new).await.unwrap();
    assert_eq!(renamed, Ok(id));
    assert_eq!(system.ingester.tenants(), std::slice::from_ref(&new));

    write(&system, &new, "after").await;
    assert_eq!(system.id_of(&new), id);
    assert_eq!(parts(&system, id).await, 1);

    // What is in memory is flushed under the new name.
    system.ingester.flush(&new).await.unwrap();
    let state = system.manifests.refresh(id).await.unwrap();
    assert_eq!(state.blocks.len(), 1);

    // The name is free for another tenant.
    write(&system, &old, "other").await;
    assert_ne!(system.tenant_id(), id);

    let taken = system.ingester.rename_tenant(&old, &new).await.unwrap();
    assert_eq!(taken, Err(NotRenamed::Taken(new.clone())));

    // The log has the old name.
    let system = system.crash().await;
    assert_eq!(
        (system.report.unknown_tenants, system.report.samples),
        (0, 1)
    );
    assert_eq!(system.id_of(&new), id);
    assert_ne!(system.tenant_id(), id);
    assert_eq!(system.held("other").await.floats.len(), 1);
    assert_eq!(system.held("before").await, Held::default());

    system.ingester.flush(&new).await.unwrap();
    let state = system.manifests.refresh(id).await.unwrap();
    let samples: u64 = state.blocks.values().map(|block| block.stats.samples).sum();
    assert_eq!(samples, 2);
}

#[tokio::test]
async fn a_deleted_tenant_does_not_come_back() {
    let system = System::start().await;
    let name = tenant();
    write(&system, &name, "flushed").await;
    system.ingester.flush(&name).await.unwrap();
    write(&system, &name, "unflushed").await;
    let id = system.tenant_id();
    let bytes = system.ingester.head_bytes();
    assert!(bytes > 0);

    let deleted = system.ingester.delete_tenant(&name).await.unwrap().unwrap();
    assert_eq!((deleted.id, &deleted.name), (id, &name));
    assert_eq!(system.ingester.delete_tenant(&name).await.unwrap(), None);
    assert_eq!(system.ingester.tenants(), []);
    assert_eq!(system.ingester.head_bytes(), 0);
    assert_ne!(
        system.ingester.remains(id).await.unwrap(),
        Remains::default()
    );

    // The next tenant with the name has nothing of it.
    write(&system, &name, "new").await;
    assert_ne!(system.tenant_id(), id);
    assert_eq!(system.held("unflushed").await, Held::default());

    let system = system.crash().await;
    assert_eq!(
        (system.report.deleted_records, system.report.samples),
        (2, 1)
    );
    assert_eq!(system.ingester.tenants(), std::slice::from_ref(&name));
    assert_eq!(system.held("new").await.floats.len(), 1);
    assert_eq!(system.held("unflushed").await, Held::default());

    // Its records do not hold the log.
    system.ingester.flush(&name).await.unwrap();
    let system = system.crash().await;
    assert_eq!(system.report.samples, 0);
}

#[tokio::test]
async fn a_clone_and_its_origin_have_nothing_in_common() {
    let system = System::start().await;
    let (from, to) = (tenant(), named("copy"));
    write(&system, &from, "both").await;
    let home = system.tenant_id();

    let cloned = system.ingester.clone_tenant(&from, &to).await.unwrap();
    let clone = cloned.unwrap();
    assert_eq!(system.id_of(&to), clone);

    for (name, metric) in [(&from, "home"), (&to, "clone"), (&to, "clone_too")] {
        write(&system, name, metric).await;
    }

    let system = system.crash().await;
    assert_eq!(system.report.samples, 3);

    for (id, samples) in [(home, 2), (clone, 3)] {
        let name = system.name_of(id);
        system.ingester.flush(&name).await.unwrap();
        let state = system.manifests.refresh(id).await.unwrap();
        let blocks = state.blocks.values();
        let found: u64 = blocks.map(|block| block.stats.samples).sum();
        assert_eq!(found, samples, "{name}");
    }

    let refused = async |from: &str, to: &str| {
        let cloned = system.ingester.clone_tenant(&named(from), &named(to)).await;
        cloned.unwrap().unwrap_err()
    };
    let home_name = tenant().to_string();
    assert_eq!(
        refused("nobody", "x").await,
        NotCloned::Unknown(named("nobody"))
    );
    assert_eq!(
        refused(&home_name, "copy").await,
        NotCloned::Taken(to.clone())
    );
    let shares = NotCloned::StillShares {
        tenant: to.clone(),
        home,
    };
    assert_eq!(refused("copy", "x").await, shares);

    // The name by which the clone holds the blocks is not for others.
    let state = system.manifests.refresh(home).await.unwrap();
    let holds: Vec<_> = state.snapshots.keys().cloned().collect();
    assert_eq!(holds.len(), 1, "{holds:?}");
    for result in [
        system
            .ingester
            .drop_snapshot(&from, &holds[0])
            .await
            .map(drop),
        system
            .ingester
            .make_snapshot(&from, "clone-mine")
            .await
            .map(drop),
    ] {
        let why = result.unwrap_err().to_string();
        assert!(why.contains("those of clones"), "{why}");
    }
}
