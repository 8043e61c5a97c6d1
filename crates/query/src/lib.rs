//! The querier: sources over blocks and heads, merge, the PromQL engine behind one door.
