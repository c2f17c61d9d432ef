// Speaks to a gateway with the A2A project's own JavaScript client and prints one JSON line.
//   node talk.mjs '{"gateway","apiKey","taskId","unknownTaskId"}'
import { ClientFactory, ClientFactoryOptions, DefaultAgentCardResolver, JsonRpcTransportFactory, createAuthenticatingFetchWithRetry } from '@a2a-js/sdk/client'
import { randomUUID } from 'node:crypto'

const job = JSON.parse(process.argv[2])
const signedIn = createAuthenticatingFetchWithRetry(fetch, {
  headers: async () => ({ Authorization: `Bearer ${job.apiKey}` }),
  shouldRetryWithHeaders: async () => undefined,
})
const resolver = new DefaultAgentCardResolver()
const factory = new ClientFactory({ ...ClientFactoryOptions.default, cardResolver: resolver, transports: [new JsonRpcTransportFactory({ fetchImpl: signedIn })] })
const card = await resolver.resolve(job.gateway)
const client = await factory.createFromUrl(job.gateway)

const message = (text) => ({
  message: { messageId: randomUUID(), role: 1, parts: [{ content: { $case: 'text', value: text } }], extensions: [], referenceTaskIds: [] },
})
const answer = await client.sendMessage(message('What can you do, and what does it cost?'))

const streamed = []
for await (const event of client.sendMessageStream(message('And now as a stream, please.'))) {
  streamed.push(event)
}

const task = await client.getTask({ id: job.taskId })
let unknown = null
try {
  await client.getTask({ id: job.unknownTaskId })
} catch (error) {
  unknown = { name: error.constructor.name, code: error.code ?? null, message: error.message }
}

console.log(JSON.stringify({ card, answer, streamed, task, unknown }))
