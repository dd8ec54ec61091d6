// The page in Chromium without a screen, against a running `hipengine serve` with the built-in model and against a
// scripted server. HIPENGINE names the binary, CHROMIUM the browser; SHOTS is a folder for pictures.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { chromium } from 'playwright-core';
import { scripted } from './scripted.mjs';

let server, base, browser, script, context, page, complaints;

before(async () => {
  server = spawn(process.env.HIPENGINE, ['serve', '--port', '0', '--log', 'none'], { stdio: ['ignore', 'ignore', 'pipe'] });
  base = await new Promise((resolve, reject) => {
    let text = '';
    server.stderr.on('data', (d) => {
      text += d;
      const m = text.match(/serving ember on (http:\S+)\/v1/);
      if (m) resolve(`${m[1]}/`);
    });
    server.on('exit', (code) => reject(new Error(`server ended with ${code}: ${text}`)));
  });
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
  script = await scripted(base);
});

after(async () => {
  await browser?.close();
  script?.close();
  server.removeAllListeners('exit');
  const ended = new Promise((resolve) => server.on('exit', resolve));
  server.kill('SIGTERM');
  assert.equal(await ended, 0, 'the server stops cleanly');
});

// Each test has a browser of its own, without a history, and ends with a look at what the browser complained about:
// violations of the policy and errors of scripts, and requests to other places.
beforeEach(() => start({}));

afterEach(async () => {
  assert.deepEqual(complaints, []);
  await context.close();
});

async function start(options) {
  await context?.close();
  context = await browser.newContext({ viewport: { width: 1280, height: 820 }, colorScheme: 'light', ...options });
  context.setDefaultTimeout(10000);
  page = await context.newPage();
  complaints = [];
  page.on('console', (m) => { if (m.type() === 'error' && !/the server responded with a status of (400|401|404|503)/.test(m.text())) complaints.push(m.text()); });
  page.on('pageerror', (e) => complaints.push(String(e)));
  page.on('request', (r) => { if (!r.url().startsWith(base) && !/^(data|blob|http:\/\/127\.0\.0\.1)/.test(r.url())) complaints.push(`request to ${r.url()}`); });
}

const shot = (name) => process.env.SHOTS && page.screenshot({ path: `${process.env.SHOTS}/${name}.png` });
const visit = async (url = script.url) => { await page.goto(url); await page.waitForSelector('#notice', { state: 'hidden' }); };
const idle = () => page.waitForFunction(() => document.querySelector('#thread').getAttribute('aria-busy') === 'false');
const answers = () => page.locator('.assistant > .md');

async function say(text) {
  await page.fill('#prompt', text);
  await page.press('#prompt', 'Enter');
  await idle();
}

// settings opens the dialog, does something, and closes it.
async function settings(change) {
  await page.click('#open-settings');
  await change();
  await page.keyboard.press('Escape');
  await page.waitForSelector('#settings', { state: 'hidden' });
}

test('the built-in model answers', async () => {
  await visit(base);
  assert.equal(await page.title(), 'hipengine');
  await shot('welcome');
  await page.click('text=What is the capital of France?');
  await idle();
  assert.equal(await answers().innerText(), 'The capital of France is Paris.');
  assert.match(await page.locator('.stats').innerText(), /^\d+ tokens · [\d.,]+ tok\/s · first after \d+\.\d+ s$/);
  await page.fill('#prompt', 'My name is Zoe.');
  await page.press('#prompt', 'Shift+Enter');
  assert.equal(await page.inputValue('#prompt'), 'My name is Zoe.\n');
  await say('My name is Zoe.');
  await say('What is my name?');
  assert.equal(await answers().last().innerText(), 'Your name is Zoe.');
  await shot('ember');
});

test('the built-in model calls a tool', async () => {
  await visit(base);
  await settings(() => page.fill('#tools', '[{"name": "get_weather", "description": "Get the weather in a city.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}]'));
  await say('What is the weather in Paris?');
  assert.deepEqual(JSON.parse(await page.locator('.call pre').innerText()), { city: 'Paris' });
  await page.fill('.call textarea', '{"weather": "sunny", "degrees": 21}');
  await page.click('text=Send the result');
  await idle();
  assert.equal(await answers().last().innerText(), 'It is sunny in Paris, with 21 degrees.');
  await shot('ember-tool');
});

test('an answer comes in pieces and can be stopped', async () => {
  await visit();
  const aborted = script.seen.aborted;
  await page.fill('#prompt', 'slow');
  await page.press('#prompt', 'Enter');
  await page.waitForFunction(() => document.querySelector('.assistant > .md')?.innerText.includes('word3'));
  assert.ok(await page.isVisible('#stop'));
  assert.equal(await page.isVisible('#send'), false);
  await page.keyboard.press('Escape');
  await idle();
  const text = await answers().innerText();
  assert.ok(text.includes('word3') && !text.includes('word400'), text);
  assert.match(await page.locator('.message .note').innerText(), /Stopped/);
  for (let i = 0; script.seen.aborted === aborted && i < 100; i++) await new Promise((done) => setTimeout(done, 20));
  assert.equal(script.seen.aborted, aborted + 1, 'the server is told');
  await say('hello');
  assert.equal(await answers().last().innerText(), 'You said: hello');
});

test('an answer that was cut off goes on', async () => {
  await visit();
  await say('cut off');
  assert.match(await page.locator('.message .note').innerText(), /cut off/);
  await page.click('text=Go on');
  await page.waitForFunction(() => document.querySelector('.assistant > .md')?.innerText.includes('second'));
  await idle();
  assert.equal(await answers().innerText(), 'The first half, and the second.');
  assert.equal(await page.locator('.message .note').count(), 0);
  const body = script.seen.bodies.at(-1);
  assert.equal(body.continue_final_message, true);
  assert.deepEqual(body.messages.at(-1), { role: 'assistant', content: 'The first half, ' });
  await say('hello');
  assert.equal(script.seen.bodies.at(-1).continue_final_message, undefined);
  await say('only thoughts');
  assert.match(await page.locator('.message .note').innerText(), /There is no text: all went to thoughts/);
  assert.equal(await page.locator('text=Go on').count(), 0);
});

test('Markdown', async () => {
  await visit();
  await say('Which simple sorts are stable?');
  const md = answers();
  assert.equal(await md.locator('h3').innerText(), 'Sorting in place');
  assert.equal(await md.locator('strong').innerText(), 'equal elements');
  assert.deepEqual(await md.locator('a').evaluateAll((l) => l.map((a) => [a.innerText, a.getAttribute('href'), a.rel])),
    [['reference', 'https://pkg.go.dev/slices', 'noopener noreferrer nofollow'], ['https://go.dev/ref/spec', 'https://go.dev/ref/spec', 'noopener noreferrer nofollow']]);
  assert.deepEqual(await md.locator('tr').evaluateAll((l) => l.map((r) => [...r.cells].map((c) => c.innerText))),
    [['Algorithm', 'Worst case', 'Stable'], ['Merge sort', 'n log n', 'yes'], ['Heapsort', 'n log n', 'no'], ['Insertion sort', 'n²', 'yes']]);
  assert.equal(await md.locator('td.right').count(), 3);
  assert.deepEqual(await md.locator('ol > li > ul > li').allInnerTexts(), ['into halves', 'until one is left']);
  assert.match(await md.locator('ol').innerText(), /\$O\(n\)\$ space: \$a_1 \* b_2 \* c_3\$/);
  assert.equal(await md.locator('blockquote').innerText(), 'Simple things first.');
  assert.deepEqual(await md.locator('.task input').evaluateAll((l) => l.map((b) => b.checked)), [true, false]);
  assert.equal(await md.locator('hr').count(), 1);
  assert.match(await md.locator('pre').innerText(), /^\/\/ Sort sorts s in place\.\nfunc Sort/);
  assert.equal(await md.locator('.c-comment').count(), 2);
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await md.locator('.code .copy').click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\/\/ Sort sorts[^]*\n}$/);
  await page.evaluate(() => { document.querySelector('#thread').scrollTop = 0; });
  await shot('Which simple sorts are stable?');
  await start({ colorScheme: 'dark' });
  await visit();
  await say('Which simple sorts are stable?');
  await page.evaluate(() => { document.querySelector('#thread').scrollTop = 0; });
  await shot('markdown-dark');
});

test('what a model writes stays text', async () => {
  await visit();
  await say('attack');
  await say('<img src=x onerror="window.hacked=9">');
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.equal(await page.locator('#messages :is(img, script, iframe, b, i, [onerror], [onclick])').count(), 0);
  assert.deepEqual(await page.locator('#messages a').evaluateAll((l) => l.map((a) => a.href)), ['https://example.com/x.png']);
  const text = await answers().first().innerText();
  for (const part of ['<img src=x onerror="window.hacked=1">', '[click](javascript:window.hacked=3)', '<svg onload', '<b onclick=alert(1)>bold</b>', '<iframe src="//example.com"></iframe>']) {
    assert.ok(text.includes(part), `${part} in ${text}`);
  }
});

test('the policy is in force', async () => {
  await visit();
  const caught = await page.evaluate(() => {
    const errors = [];
    const attempt = (f) => { try { f(); } catch (e) { errors.push(e.name); } };
    attempt(() => { const s = document.createElement('script'); s.text = 'window.hacked = 1'; document.body.append(s); });
    attempt(() => { document.body.innerHTML += '<b>x</b>'; });
    attempt(() => { document.body.setAttribute('onclick', 'window.hacked = 2'); });
    document.body.append(Object.assign(document.createElement('img'), { src: 'https://example.com/x.png' }));
    return errors;
  });
  assert.deepEqual(caught, ['TypeError', 'TypeError', 'TypeError']);
  await page.waitForTimeout(100);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.ok(complaints.some((c) => /img-src/.test(c)), complaints.join('\n'));
  complaints = [];
});

test('thoughts fold away when the answer begins', async () => {
  await visit();
  await say('think');
  assert.equal(await page.locator('.thoughts').getAttribute('open'), null);
  assert.match(await page.locator('.thoughts summary').innerText(), /^Thought for \d/);
  await page.click('.thoughts summary');
  assert.equal(await page.locator('.thoughts .md').innerText(), 'Let me see. 17 and 25 make 42.');
  assert.equal(await answers().innerText(), 'It is 42.');
  await say('echo');
  assert.equal(script.seen.bodies.at(-1).messages[1].reasoning_content, 'Let me see. 17 and 25 make 42.');
});

test('a tool call is shown and answered by hand', async () => {
  await visit();
  await settings(async () => {
    await page.fill('#tools', 'nonsense');
    assert.match(await page.locator('#tools-error').innerText(), /not JSON/);
    await page.fill('#tools', '[{"name": "get_weather", "parameters": {"type": "object"}}]');
    assert.equal(await page.isVisible('#tools-error'), false);
  });
  await say('weather');
  assert.deepEqual(script.seen.bodies.at(-1).tools, [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object' } } }]);
  assert.deepEqual(JSON.parse(await page.locator('.call pre').innerText()), { city: 'Paris', days: 2 });
  assert.equal(await page.evaluate(() => document.activeElement.closest('.call') !== null), true, 'the field for the result has the focus');
  await shot('tool');
  await page.fill('.call textarea', '21 degrees');
  await page.click('text=Send the result');
  await idle();
  assert.equal(await answers().last().innerText(), 'It is sunny: 21 degrees');
  const [, , asked, result] = [null, ...script.seen.bodies.at(-1).messages];
  assert.deepEqual([asked.role, asked.content, asked.tool_calls[0].function.arguments], ['assistant', null, '{"city": "Paris", "days": 2}']);
  assert.deepEqual(result, { role: 'tool', content: '21 degrees', tool_call_id: 'call_1' });
});

test('settings are part of the request', async () => {
  await visit();
  await page.selectOption('#model', 'org/second');
  await settings(async () => {
    await page.fill('#system', 'Answer briefly.');
    await page.fill('#s-temperature', '0.5');
    await page.fill('#s-top_k', '40');
    await page.fill('#s-seed', '7');
    await page.fill('#s-min_p', '3'); // out of range
    await page.fill('#stops', 'END\nSTOP');
    await page.fill('#schema', '{"type": "object"}');
    await shot('settings');
  });
  await say('echo');
  const body = JSON.parse(await answers().innerText());
  assert.deepEqual(body, {
    model: 'org/second', messages: [{ role: 'system', content: 'Answer briefly.' }, { role: 'user', content: 'echo' }], temperature: 0.5, top_k: 40, seed: 7,
    stop: ['END', 'STOP'], response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } }, stream: true, stream_options: { include_usage: true },
  });
  assert.match(await page.locator('#context').innerText(), /^901 \/ 4,096 tokens$/);
});

test('every sampling setting is a field of the server', async () => {
  await visit(base);
  await settings(async () => {
    for (const input of await page.locator('#sampling input').all()) await input.fill(await input.getAttribute('max') > 1 ? '1' : '0.5');
    for (const id of ['#s-presence_penalty', '#s-frequency_penalty']) await page.fill(id, '0.1');
    await page.fill('#s-max_tokens', '5');
    await page.selectOption('#s-reasoning_effort', 'low');
  });
  await say('What is the capital of France?');
  assert.equal(await page.locator('.failure').count(), 0);
  assert.match(await page.locator('.message .note').innerText(), /cut off/);
});

test('answers can be asked for again, messages changed', async () => {
  await visit();
  await say('one');
  await say('two');
  const asked = script.seen.bodies.length;
  await page.locator('.assistant').last().getByLabel('Answer again').click();
  await idle();
  assert.equal(script.seen.bodies.length, asked + 1);
  assert.deepEqual(script.seen.bodies.at(-1).messages.map((m) => m.content), ['one', 'You said: one', 'two']);
  await page.locator('.user').first().hover();
  await page.locator('.user').first().getByLabel('Edit and send again').click();
  await page.fill('.editor textarea', 'three');
  await page.locator('.editor').getByText('Send').click();
  await idle();
  assert.deepEqual(await page.locator('.bubble').allInnerTexts(), ['three']);
  assert.equal(await answers().innerText(), 'You said: three');
});

test('history survives a reload, and can be renamed, exported, deleted and imported', async () => {
  await visit();
  await say('first chat');
  await page.keyboard.press('Alt+n');
  assert.equal(await page.locator('.message').count(), 0);
  await say('second chat');
  await page.reload();
  await page.waitForSelector('.bubble');
  assert.equal(await page.locator('.bubble').innerText(), 'second chat');
  assert.deepEqual(await page.locator('.chat .title').allInnerTexts(), ['second chat', 'first chat']);
  await page.click('.chat .title >> text=first chat');
  assert.equal(await page.locator('.bubble').innerText(), 'first chat');
  await page.dblclick('.chat.current .title');
  await page.fill('.chat input', 'Renamed');
  await page.press('.chat input', 'Enter');
  assert.deepEqual(await page.locator('.chat .title').allInnerTexts(), ['second chat', 'Renamed']);
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
  const path = await file.path();
  const exported = JSON.parse(await readFile(path, 'utf8'));
  assert.deepEqual(exported.chats.map((c) => c.title), ['second chat', 'Renamed']);
  await page.hover('.chat.current');
  await page.locator('.chat.current').getByLabel('Delete').click();
  assert.deepEqual(await page.locator('.chat .title').allInnerTexts(), ['second chat']);
  await page.click('#toast >> text=Undo');
  assert.deepEqual(await page.locator('.chat .title').allInnerTexts(), ['second chat', 'Renamed']);
  await page.setInputFiles('#file', path);
  await page.waitForFunction(() => document.querySelectorAll('.chat').length === 4);
  await page.setInputFiles('#file', { name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{"format": "hipengine chats", "version": 1, "chats": [{"id": 1}]}') });
  await page.waitForSelector('#toast >> text=conversation 1 of the file is damaged');
});

test('colours follow the system until they are chosen', async () => {
  const dark = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor === 'rgb(23, 25, 28)');
  await start({ colorScheme: 'dark' });
  await visit();
  assert.equal(await dark(), true);
  await page.click('#theme');
  assert.equal(await dark(), false);
  assert.equal(await page.getAttribute('#theme', 'aria-label'), 'Colours: light');
  await page.click('#theme');
  await page.emulateMedia({ colorScheme: 'light' });
  assert.equal(await dark(), true);
  await page.reload();
  assert.equal(await dark(), true);
  await page.click('#theme');
  assert.equal(await dark(), false);
});

test('errors can be read and tried again', async () => {
  await visit();
  await say('refuse');
  assert.match(await page.locator('.failure').innerText(), /the prompt has 5000 tokens, and the context 4096/);
  await shot('error');
  await say('break');
  assert.match(await page.locator('.failure').last().innerText(), /the model failed/);
  assert.equal(await answers().last().innerText(), 'You said: break');
  await page.locator('.failure').last().getByText('Try again').click();
  await idle();
  assert.deepEqual(script.seen.bodies.at(-1).messages.map((m) => m.content), ['refuse', 'break']);
});

test('a model that loads is waited for', async () => {
  const slow = await scripted(base, { loading: 2 });
  await page.goto(slow.url);
  await page.waitForSelector('#notice.waiting');
  assert.match(await page.locator('#notice').innerText(), /the model is loading/);
  assert.equal(await page.isDisabled('#send'), true);
  await shot('loading');
  await page.waitForSelector('#notice', { state: 'hidden' });
  await say('hello');
  assert.equal(await answers().innerText(), 'You said: hello');
  slow.close();
});

test('a key is asked for, kept in the browser, and never exported', async () => {
  const locked = await scripted(base, { key: 'secret-key' });
  await page.goto(locked.url);
  await page.click('text=Enter the key');
  await page.fill('#key', 'secret-key');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#notice', { state: 'hidden' });
  await say('hello');
  assert.equal(await answers().innerText(), 'You said: hello');
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#export')]);
  assert.ok(!(await readFile(await file.path(), 'utf8')).includes('secret-key'));
  assert.equal(await page.evaluate(() => JSON.stringify(localStorage).includes('secret-key')), false, 'only for this tab, unless it is to be remembered');
  locked.close();
});

test('on a phone', async () => {
  await start({ viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true });
  await visit();
  await say('Which simple sorts are stable?');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, 'nothing is wider than the screen');
  await page.evaluate(() => { document.querySelector('#thread').scrollTop = 0; });
  await shot('phone');
  assert.equal(await page.isVisible('#new'), false);
  await page.click('#open-sidebar');
  await page.waitForSelector('#new', { state: 'visible' });
  await page.waitForTimeout(300);
  await shot('phone-side');
  await page.keyboard.press('Escape');
  await page.waitForSelector('#new', { state: 'hidden' });
  await page.click('#open-settings');
  await shot('phone-settings');
});
