// A workflow worker made with Dapr's own JavaScript SDK. Runs until its input ends.
//   node worker.mjs '{"grpcPort","token"}'
import dapr from '@dapr/dapr'

const job = JSON.parse(process.argv[2])
const runtime = new dapr.WorkflowRuntime({ daprHost: '127.0.0.1', daprPort: `${job.grpcPort}`, daprApiToken: job.token })

runtime.registerActivityWithName('Double', async (_, number) => number * 2)
runtime.registerActivityWithName('Refuse', async () => { throw new TypeError('refused in JavaScript') })

runtime.registerWorkflowWithName('JsChild', async function* (context, number) {
  return (yield context.callActivity('Double', number)) + 1
})

// Activity, timer, event, child, and a second generation that is given what the first has seen.
runtime.registerWorkflowWithName('JsJourney', async function* (context, input) {
  const doubled = yield context.callActivity('Double', input.number)
  yield context.createTimer(0.2)
  // This SDK sends a status as it is; others write JSON.
  context.setCustomStatus(JSON.stringify(`waiting ${input.seen.length}`))
  const word = yield context.waitForExternalEvent('go')
  const fromChild = yield context.callChildWorkflow('JsChild', doubled)
  const seen = [...input.seen, `${word} ${fromChild}`]
  if (seen.length < 2) {
    context.continueAsNew({ number: fromChild, seen }, true)
    return
  }

  const sides = yield context.whenAll([context.callActivity('Double', 1), context.callActivity('Double', 2)])
  let refusal
  try {
    yield context.callActivity('Refuse')
  } catch (error) {
    refusal = error.message
  }

  return { seen, sides, refusal }
})

await runtime.start()
console.log('started')
process.stdin.resume()
process.stdin.on('end', async () => {
  await runtime.stop()
  process.exit(0)
})
