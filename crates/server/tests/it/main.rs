//! The real binary, over HTTP, as its users meet it.

mod api;
mod backfill;
mod captures;
mod cardinality;
mod clients;
mod compliance;
mod costs;
mod crashes;
mod differential;
mod edge;
mod end_to_end;
mod exemplars;
mod families;
mod federate;
mod grafana;
mod ha;
mod ha_prometheus;
mod harness;
mod hostile_queries;
mod hostile_writes;
mod life;
mod native_histograms;
mod remote_read;
mod remote_write_v2;
mod settings;
mod tenants;
