// Drives workflows of a .NET worker with Dapr's own JavaScript client and prints one JSON line.
//   node client.mjs '{"grpcPort","token","ids":{"child","parent","grandchild","render","tally","doomed"}}'
import dapr from '@dapr/dapr'

const { DaprWorkflowClient, WorkflowRuntimeStatus } = dapr
const { grpcPort, token, ids } = JSON.parse(process.argv[2])
const client = new DaprWorkflowClient({ daprHost: '127.0.0.1', daprPort: `${grpcPort}`, daprApiToken: token })
const nameOf = (status) => Object.keys(WorkflowRuntimeStatus).find((key) => WorkflowRuntimeStatus[key] === status)
const ended = async (id) => {
  const state = await client.waitForWorkflowCompletion(id, true, 60)
  return { status: nameOf(state.runtimeStatus), output: state.serializedOutput, failure: state.workflowFailureDetails?.getErrorMessage() ?? null }
}

const said = {}
await client.scheduleNewWorkflow('RenderWorkflow', { scene: 'teapot', frames: 2 }, ids.render)
said.render = await ended(ids.render)

// Suspended, an instance keeps its event; resumed, it takes it.
await client.scheduleNewWorkflow('Child', 'js', ids.child)
said.started = nameOf((await client.waitForWorkflowStart(ids.child, false, 30)).runtimeStatus)
await client.suspendWorkflow(ids.child)
said.suspended = nameOf((await client.getWorkflowState(ids.child, false)).runtimeStatus)
await client.raiseEvent(ids.child, 'say', 'hello')
await client.resumeWorkflow(ids.child)
said.child = await ended(ids.child)

await client.scheduleNewWorkflow('Parent', ids.grandchild, ids.parent)
await client.waitForWorkflowStart(ids.grandchild, false, 30)
await client.raiseEvent(ids.grandchild, 'say', 'fail')
said.parent = await ended(ids.parent)

await client.scheduleNewWorkflow('Tally', 3, ids.tally)
for (const number of [1, 2, 3]) {
  await client.raiseEvent(ids.tally, 'count', number)
}

said.tally = await ended(ids.tally)

await client.scheduleNewWorkflow('Child', 'doomed', ids.doomed)
await client.terminateWorkflow(ids.doomed, 'enough')
said.doomed = await ended(ids.doomed)
said.purged = await client.purgeWorkflow(ids.doomed)
said.afterPurge = (await client.getWorkflowState(ids.doomed, false)) ?? null
try {
  await client.scheduleNewWorkflow('Child', 'again', ids.child)
  await client.scheduleNewWorkflow('Child', 'once more', ids.child)
  said.refused = null
} catch (error) {
  said.refused = error.code
}

await client.stop()
console.log(JSON.stringify(said))
process.exit(0)
