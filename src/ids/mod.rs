//! Ids: Snowflake ids of rows, global ids of the API, and the id of this instance.

pub mod global_id;
mod instance_id;
pub mod snowflake;

pub use global_id::GlobalId;
pub use instance_id::InstanceId;
pub use snowflake::{COMMAND_INSTANCE, IdGenerator};
