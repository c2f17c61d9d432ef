// Uploads one file with the reference tus client and prints one JSON line.
//   node upload.mjs '{"endpoint","token","file","sha256","chunkSize","storage","dieAfter"?,"pauseMs"?}'
// With dieAfter the process kills itself, as by kill -9, once that many bytes were accepted; a second run with the same
// storage finds the upload again and goes on from the server's offset. pauseMs waits before every PATCH.
import { createReadStream } from 'node:fs'
import * as tus from 'tus-js-client'

const job = JSON.parse(process.argv[2])
let firstOffset = null
let accepted = 0

const upload = new tus.Upload(createReadStream(job.file), {
  endpoint: job.endpoint,
  chunkSize: job.chunkSize,
  headers: { Authorization: `Bearer ${job.token}` },
  metadata: { sha256: job.sha256, filename: 'asset' },
  urlStorage: new tus.FileUrlStorage(job.storage),
  fingerprint: async () => `rendertrust-${job.sha256}`,
  retryDelays: [50, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 10000, 10000],
  async onBeforeRequest(request) {
    if (request.getMethod() !== 'PATCH') {
      return
    }

    firstOffset ??= Number(request.getHeader('Upload-Offset'))
    await new Promise(resolve => setTimeout(resolve, job.pauseMs ?? 0))
  },
  onChunkComplete(_size, total) {
    accepted = total
    if (job.dieAfter && total >= job.dieAfter) {
      console.log(JSON.stringify({ died: true, firstOffset, accepted, url: upload.url }))
      process.kill(process.pid, 'SIGKILL')
    }
  },
  onError(error) {
    console.log(JSON.stringify({ error: error.message, status: error.originalResponse?.getStatus() ?? null, firstOffset, accepted }))
    process.exitCode = 1
  },
  onSuccess() {
    console.log(JSON.stringify({ done: true, firstOffset, accepted, url: upload.url }))
  },
})

const previous = await upload.findPreviousUploads()
if (previous.length > 0) {
  upload.resumeFromPreviousUpload(previous[0])
}

upload.start()
