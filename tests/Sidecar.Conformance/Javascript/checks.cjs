// What an app written with Dapr's own JavaScript SDK sees of its sidecar. Prints one JSON object: the name of each check and what it saw, or its error.
//   NODE_PATH=.../node_modules node checks.cjs '{"appId","appPort","httpPort","grpcPort","mark"}'
const { AbstractActor, ActorId, ActorProxyBuilder, CommunicationProtocolEnum, DaprClient, DaprPubSubStatusEnum, DaprServer, HttpMethod, Temporal } = require('@dapr/dapr')

const { appId, appPort, httpPort, grpcPort, mark } = JSON.parse(process.argv[2])
const options = (protocol, port) => ({ daprHost: '127.0.0.1', daprPort: `${port}`, communicationProtocol: protocol })
const deferred = () => { const d = {}; d.promise = new Promise((resolve) => { d.resolve = resolve }); return d }
const heard = { http: deferred(), grpc: deferred(), retried: deferred(), reminded: deferred(), ticked: deferred(), bulk: [] }
const bulkDone = deferred()

class JsTally extends AbstractActor {
  async add (amount) {
    const [found, before] = await this.getStateManager().tryGetState('total')
    const total = (found ? before : 0) + amount
    await this.getStateManager().setState('total', total)
    return total
  }
  async remind () { await this.registerActorReminder('r', Temporal.Duration.from({ milliseconds: 20 }), undefined, undefined, 'about r') }
  async receiveReminder (data) { heard.reminded.resolve(data) }
  async tick () { await this.registerActorTimer('t', 'onTick', Temporal.Duration.from({ milliseconds: 20 }), undefined, undefined, 'tock') }
  async onTick (data) { heard.ticked.resolve(data) }
}

async function stateOf (client, store, key) {
  const said = {}
  await client.state.save(store, [{ key, value: { number: 7 } }, { key: `${key}-2`, value: 'two' }])
  said.saved = await client.state.get(store, key)
  said.bulk = (await client.state.getBulk(store, [key, `${key}-2`])).map((item) => item.key).sort()
  await client.state.transaction(store, [
    { operation: 'upsert', request: { key: `${key}-3`, value: 'three' } },
    { operation: 'delete', request: { key: `${key}-2` } }
  ])
  said.added = await client.state.get(store, `${key}-3`)
  said.removed = await client.state.get(store, `${key}-2`)
  await client.state.delete(store, key)
  said.deleted = await client.state.get(store, key)
  return said
}

async function main () {
  const server = new DaprServer({ serverHost: '127.0.0.1', serverPort: `${appPort}`, clientOptions: options(CommunicationProtocolEnum.HTTP, httpPort) })
  await server.actor.init()
  await server.actor.registerActor(JsTally)
  let tries = 0
  await server.pubsub.subscribe('pubsub', 'js-news', async (data) => {
    if (data.mark !== mark) return
    if (data.by === 'bulk') { heard.bulk.push(data.n); if (heard.bulk.length === 2) bulkDone.resolve() } else heard[data.by].resolve(data)
  })
  await server.pubsub.subscribe('pubsub', 'js-stubborn', async (data) => {
    if (data.mark !== mark) return
    if (++tries < 3) return DaprPubSubStatusEnum.RETRY
    heard.retried.resolve(tries)
  })
  await server.invoker.listen('echo', async (request) => ({ said: JSON.parse(request.body), query: request.query }), { method: HttpMethod.POST })
  await server.start()

  const http = new DaprClient(options(CommunicationProtocolEnum.HTTP, httpPort))
  const grpc = new DaprClient(options(CommunicationProtocolEnum.GRPC, grpcPort))
  const said = {}
  const late = () => new Promise((resolve, reject) => setTimeout(() => reject(new Error('nothing after a minute')), 60000).unref())
  const check = async (name, run) => { try { said[name] = await Promise.race([run(), late()]) } catch (error) { said[name] = `failed: ${error.stack}` } }

  await check('stateByHttp', () => stateOf(http, 'postgres', `${mark}-http`))
  await check('stateByGrpc', () => stateOf(grpc, 'postgres', `${mark}-grpc`))
  await check('publishByHttp', async () => { await http.pubsub.publish('pubsub', 'js-news', { mark, by: 'http', n: 1 }); return (await heard.http.promise).n })
  await check('publishByGrpc', async () => { await grpc.pubsub.publish('pubsub', 'js-news', { mark, by: 'grpc', n: 2 }); return (await heard.grpc.promise).n })
  await check('publishMany', async () => {
    const answer = await http.pubsub.publishBulk('pubsub', 'js-news', [{ mark, by: 'bulk', n: 1 }, { mark, by: 'bulk', n: 2 }])
    await bulkDone.promise
    return { failed: answer.failedMessages.length, heard: heard.bulk.sort() }
  })
  await check('retry', async () => { await http.pubsub.publish('pubsub', 'js-stubborn', { mark }); return heard.retried.promise })
  await check('invoke', () => http.invoker.invoke(appId, 'echo?a=1', HttpMethod.POST, { word: 'hello' }))
  await check('metadata', async () => { await http.metadata.set('js', 'was here'); const got = await http.metadata.get(); return { id: got.id, extended: got.extended.js } })
  await check('metadataByGrpc', async () => (await grpc.metadata.get()).id)
  await check('health', () => http.health.isHealthy())
  await check('healthByGrpc', () => grpc.health.isHealthy())
  const tally = new ActorProxyBuilder(JsTally, http).build(new ActorId(mark))
  await check('actor', async () => { await tally.add(2); return tally.add(3) })
  await check('reminder', async () => { await tally.remind(); return heard.reminded.promise })
  await check('timer', async () => { await tally.tick(); return heard.ticked.promise })
  console.log('\n' + JSON.stringify(said))
  process.exit(0)
}

main().catch((error) => { console.error(error); process.exit(1) })
