//! A discrete-event model of the platform.
