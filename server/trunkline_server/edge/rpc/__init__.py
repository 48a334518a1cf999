"""Every RPC of the contract over HTTP: Connect, gRPC-Web, and plain JSON for whoever has nothing but HTTP."""
