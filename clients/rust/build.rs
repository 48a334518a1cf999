//! Makes the stubs from the contract that comes with the crate, so that no compiler of protos is needed.

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=contract.binpb");
    let contract = prost_types::FileDescriptorSet::decode(&*std::fs::read("contract.binpb")?)?;
    tonic_prost_build::configure()
        .build_server(false)
        .include_file("contract.rs")
        .compile_fds(contract)?;
    Ok(())
}
