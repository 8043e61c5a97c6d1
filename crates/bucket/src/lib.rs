//! The configured, metered and verified object store; the fsyncing local store; key layout; the register.
