//! API keys of the gateway's own store and of the operator's tables: made, used, changed, withdrawn.
