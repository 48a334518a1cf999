# frozen_string_literal: true

Gem::Specification.new do |gem|
  gem.name = "trunkline"
  gem.version = "0.1.0"
  gem.summary = "Ruby stubs of Trunkline, the gRPC gateway to every AI provider"
  gem.license = "Apache-2.0"
  gem.authors = ["Trunkline"]
  gem.required_ruby_version = ">= 3.1"
  gem.files = Dir["lib/**/*.rb", "lib/**/*.json", "README.md"]
  gem.add_dependency "googleapis-common-protos-types", "~> 1.3"
  gem.add_dependency "grpc", ">= 1.51"
end
