//! The ingester draws from the account of the process.

use duramen_ingest::Error;
use duramen_model::ErrorKind;
use duramen_qos::{Full, Use};

use crate::body::one;
use crate::system::{NOW_MS, System};

#[tokio::test]
async fn a_write_is_refused_while_others_have_the_memory_and_passes_when_they_give_it_back() {
    let system = System::start().await;
    let room = system.memory.mark(Use::Body);
    let others = system.memory.take(Use::Body, room).unwrap();

    let error = system.write(&one("m", NOW_MS, 1.0)).await.unwrap_err();
    assert!(matches!(error, Error::Memory(Full { wanted: Use::Head, .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);

    drop(others);
    system.write(&one("m", NOW_MS, 1.0)).await.unwrap();
}

#[tokio::test]
async fn what_heads_hold_is_in_the_account_until_it_is_flushed() {
    let system = System::start().await;
    assert_eq!(system.memory.used_by(Use::Head), 0);

    system.write(&one("m", NOW_MS, 1.0)).await.unwrap();
    system.ingester.observe();
    assert_eq!(system.memory.used_by(Use::Head), system.ingester.head_bytes());
    assert!(system.memory.used_by(Use::Head) > 0);

    let held = system.memory.used_by(Use::Head);
    system.ingester.flush_all().await.unwrap();
    system.ingester.observe();
    assert!(system.memory.used_by(Use::Head) < held);
}
