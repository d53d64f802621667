// Executes a run and watches it to its end, knowing the contract only from its .proto files.
// node watch_run.cjs ADDRESS API_KEY PROTO_FOLDER:THIRD_PARTY_FOLDER REQUEST_JSON
// Prints a JSON line for the run and for each update of its watch.

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, apiKey, folders, request] = process.argv.slice(2);
const definition = loader.loadSync("promptreel/v2/prompt_run.proto", {
  includeDirs: folders.split(":"),
  keepCase: true,
  enums: String,
  longs: Number,
  oneofs: true,
});
const { PromptRunService } = grpc.loadPackageDefinition(definition).promptreel.v2;
const client = new PromptRunService(address, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
metadata.set("x-api-key", apiKey);
metadata.set("idempotency-key", `node-${process.pid}-${address}`);

function print(line) {
  console.log(JSON.stringify(line));
}

function fail(error) {
  print({ error: { code: grpc.status[error.code], message: error.details } });
  process.exitCode = 1;
  client.close();
}

client.ExecutePromptRun(JSON.parse(request), metadata, (error, run) => {
  if (error) {
    fail(error);
    return;
  }
  print({ run: { run_id: run.run_id, status: run.status } });
  const watch = client.WatchPromptRun({ run_id: run.run_id, after_sequence: 0 }, metadata);
  watch.on("data", (update) => print({ update: update.update, ...update }));
  watch.on("error", fail);
  watch.on("end", () => client.close());
});
