//! PromQL planned and executed over any series source; knows no storage.
