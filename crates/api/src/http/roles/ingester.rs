//! The ingester's routes.

use std::sync::Arc;

use crate::http::admin::{deletions, flush, snapshots, tenants};
use crate::http::docs::endpoint::Answer::{Accepted, Data, Nothing};
use crate::http::docs::endpoint::{Endpoint, PROTOBUF, on_get, on_post, on_post_put};
use crate::http::docs::openapi::schemas::Schema;
use crate::http::docs::parameter_docs::{
    ALL_TENANTS, AUTHOR, DELETED, DELETED_END, DELETED_START, DELETED_TENANT, SNAPSHOT,
    TENANT_FROM, TENANT_TO, VALUE,
};
use crate::http::roles::state::ingester::IngesterState;
use crate::http::write;

/// The routes that write samples.
pub(crate) fn writing() -> Vec<Endpoint<Arc<IngesterState>>> {
    vec![
        on_post("/api/v1/write", write::write)
            .says("Stores the samples of a remote write, which is compressed with snappy.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/v1/push", write::write)
            .says("As `/api/v1/write`.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/v1/receive", write::write)
            .says("As `/api/v1/write`, at the path of Thanos.")
            .reads(PROTOBUF)
            .answers(Accepted),
        on_post("/api/prom/push", write::write)
            .says("As `/api/v1/write`, at the path of the first Cortex.")
            .reads(PROTOBUF)
            .answers(Accepted),
    ]
}

/// The routes of an operator's orders.
pub(crate) fn orders() -> Vec<Endpoint<Arc<IngesterState>>> {
    vec![
        on_post_put("/api/v1/admin/tsdb/flush", flush::flush)
            .says("Writes the samples in memory to the store, and returns when they are stored.")
            .takes(&[ALL_TENANTS])
            .answers(Nothing),
        on_post_put("/api/v1/admin/tsdb/delete_series", deletions::delete_series)
            .says("Deletes the samples of series that were acknowledged before.")
            .takes(&[DELETED, DELETED_START, DELETED_END, VALUE, AUTHOR])
            .answers(Nothing),
        on_post_put(
            "/api/v1/admin/tsdb/clean_tombstones",
            deletions::clean_tombstones,
        )
        .says("Has deleted samples removed from the store soon.")
        .answers(Nothing),
        on_get("/api/v1/admin/tsdb/deletions", deletions::deletions)
            .says("Lists deletions, the last one first, with what is left of each.")
            .answers(Data(Schema::Deletions)),
        on_get("/api/v1/admin/tsdb/deletions/{id}", deletions::one_deletion)
            .says("The receipt of a deletion: what was deleted, and what is left of it.")
            .answers(Data(Schema::Deletion)),
        on_post_put("/api/v1/admin/tsdb/create_snapshot", snapshots::create)
            .says("Flushes, and names the state after it, so that its blocks are kept.")
            .takes(&[SNAPSHOT])
            .answers(Data(Schema::Snapshot)),
        on_post_put("/api/v1/admin/tsdb/drop_snapshot", snapshots::drop)
            .says("Drops a named snapshot. What only it has kept is deleted by and by.")
            .takes(&[SNAPSHOT])
            .answers(Nothing),
        on_get("/api/v1/admin/tsdb/snapshots", snapshots::list)
            .says("Lists the named snapshots, by name.")
            .answers(Data(Schema::Snapshots)),
        on_get("/api/v1/admin/tenants", tenants::list)
            .says("Lists the tenants of the store, and those that were deleted.")
            .answers(Data(Schema::Tenants)),
        on_post_put("/api/v1/admin/tenants/rename", tenants::rename)
            .says("Gives a tenant another name. Its data stays where it is.")
            .takes(&[TENANT_FROM, TENANT_TO])
            .answers(Nothing),
        on_post_put("/api/v1/admin/tenants/clone", tenants::clone)
            .says("Makes a tenant that begins with what another one has now. No sample is copied.")
            .takes(&[TENANT_FROM, TENANT_TO])
            .answers(Data(Schema::Tenant)),
        on_post_put("/api/v1/admin/tenants/delete", tenants::delete)
            .says(
                "Deletes a tenant with all that it has. Its name is free at once; its objects go \
                 by and by.",
            )
            .takes(&[DELETED_TENANT])
            .answers(Data(Schema::DeletedTenant)),
        on_get("/api/v1/admin/tenants/deleted/{id}", tenants::one_deleted)
            .says("The receipt of a deleted tenant: what is left of it in the store.")
            .answers(Data(Schema::DeletedTenant)),
    ]
}
