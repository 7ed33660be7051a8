//! Functions of compiled libraries and of packages written here.
