//! Are keys verified, remembered and forgotten as they should be?
