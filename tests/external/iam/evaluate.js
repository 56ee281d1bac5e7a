// Reads access decisions as JSON lines (see cases/main.rs) and writes what an independent IAM simulator says about
// each: through the endpoint, beyond it, and all together, with the result of every layer.
//
// Four things the foreign simulator does not know are put into its terms first:
// - It does not look at the principals of a VPC endpoint policy (they may only be "*" to it). So the endpoint policy is
//   asked about once more in the place of a resource policy, where principals count.
// - API Gateway's short form execute-api:/STAGE/... is written out when a resource policy is saved (API Gateway
//   developer guide, "Access policy language overview").
// - It takes the API's id for a kind of resource, in which wildcards mean nothing. API Gateway lets the id be "*"
//   (API Gateway developer guide, "Control access for invoking an API").
// - 0.0.0.0/0 fits no address to it, so that network is written as its two halves.
//
// Where a case could meet a known difference (EXPLAINED in test_iam_differential.py), the answer also says what comes
// of it once that difference is taken out of the case.
'use strict';
const readline = require('node:readline');
const { runSimulation, anonymousPrincipal } = require('@cloud-copilot/iam-simulate');

const entries = (object, change) => Object.fromEntries(Object.entries(object).map(change));

const rewrite = (value, change) => {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((each) => rewrite(each, change));
  if (value && typeof value === 'object') return entries(value, ([key, each]) => [key, rewrite(each, change)]);
  return value;
};

const halves = (values) =>
  [values].flat().flatMap((network) => (network === '0.0.0.0/0' ? ['0.0.0.0/1', '128.0.0.0/1'] : [network]));

const withHalves = (conditions) =>
  entries(conditions, ([operator, keys]) => [
    operator,
    /IpAddress/.test(operator) ? entries(keys, ([key, values]) => [key, halves(values)]) : keys,
  ]);

const inItsTerms = (policy, resource) => {
  const api = resource.split('/')[0];
  const id = api.split(':')[5];
  const written = rewrite(policy, (text) =>
    text.replace(/^execute-api:\//, `${api}/`).replace(/^(arn:aws:execute-api:[^:]*:[^:]*:)\*\//, `$1${id}/`),
  );
  const Statement = written.Statement.map((each) =>
    each.Condition ? { ...each, Condition: withHalves(each.Condition) } : each,
  );
  return { ...written, Statement };
};

// The known differences: when a case could meet one, and the case without it.
const changes = {
  // A variable without a value becomes a text that nothing is like.
  no_value: {
    concerns: (kase, text) => /\$\{/.test(text),
    policy: (kase, policy, keys) =>
      rewrite(policy, (text) =>
        text.replace(/\$\{([^}]*)\}/g, (variable, key) => (key in keys ? variable : 'no-value')),
      ),
  },
  // A list that does not hold the account, the role and the session is about everyone.
  not_principal: {
    concerns: (kase, text) => /"NotPrincipal"/.test(text),
    policy: (kase, policy) => ({
      ...policy,
      Statement: policy.Statement.map(({ NotPrincipal: list, ...rest }) => {
        if (!list) return rest;
        const names = [list.AWS].flat();
        const account = [kase.caller_account, `arn:aws:iam::${kase.caller_account}:root`];
        const all = [account, [kase.role], [kase.session_arn]].every((one) => one.some((name) => names.includes(name)));
        return names.includes('*') || (all && kase.signed) ? { ...rest, NotPrincipal: list } : { ...rest, Principal: '*' };
      }),
    }),
  },
  // The silence of the session policy does not count.
  session: { concerns: (kase) => Boolean(kase.session), dropsSession: true },
};

const named = (policies) => policies.map((policy, at) => ({ name: `policy-${at}`, policy }));

const simulate = async (about, simulation) => {
  const found = await runSimulation({ resourceControlPolicies: [], ...simulation }, {});
  if (found.resultType !== 'single') throw new Error(`${about}: ${JSON.stringify(found)}`);
  if (found.result.ignoredContextKeys.length > 0) {
    throw new Error(`${about}: keys that were not looked at: ${found.result.ignoredContextKeys}`);
  }
  const analysis = found.result.analysis;
  return {
    result: found.overallResult,
    layers: {
      identity: analysis.identityAnalysis?.result,
      far: analysis.resourceAnalysis?.result,
      boundary: analysis.permissionBoundaryAnalysis?.result,
      session: analysis.sessionAnalysis?.result,
      service_control: analysis.scpAnalysis?.result,
    },
    // By which kind of principal the far side allows: "Match" is "*" or this very session.
    grants: (analysis.resourceAnalysis?.allowStatements || []).map((statement) => statement.principalMatch),
  };
};

// The endpoint policy as the foreign simulator takes one, if it is about everyone in each statement.
const aboutEveryone = (policy) => {
  const is = ({ Principal: who }) => who === '*' || (who && who.AWS === '*');
  if (!policy.Statement.every(is)) return undefined;
  return { ...policy, Statement: policy.Statement.map((statement) => ({ ...statement, Principal: '*' })) };
};

const answer = async (kase, without) => {
  const about = `case ${kase.id}`;
  const fix = (policy, keys = kase.keys) => {
    if (!policy) return undefined;
    const changed = without.reduce((at, { policy: change }) => (change ? change(kase, at, keys) : at), policy);
    return inItsTerms(changed, kase.resource);
  };
  const request = (signed, keys) => ({
    principal: signed ? kase.session_arn : anonymousPrincipal,
    action: kase.action,
    resource: { resource: kase.resource, accountId: kase.resource_account },
    contextVariables: entries(keys, ([key, values]) => [key, values.length > 1 ? values : values[0]]),
  });
  const nobody = { identityPolicies: [], serviceControlPolicies: [] };
  const boundary = kase.boundary ? named([fix(kase.boundary)]) : undefined;
  const own = {
    identityPolicies: named(kase.identity.map((policy) => fix(policy))),
    sessionPolicy: without.some(({ dropsSession }) => dropsSession) ? undefined : fix(kase.session),
    permissionBoundaryPolicies: boundary,
    // One level of the organisation; none at all where there is no policy.
    serviceControlPolicies:
      kase.service_control.length > 0 ? [{ orgIdentifier: 'o', policies: named(kase.service_control.map((policy) => fix(policy))) }] : [],
  };
  // A method without authorization sees nobody, and no key of a principal.
  const far = fix(kase.far, kase.kind === 'open' ? kase.network_keys : kase.keys);
  const found = {};
  found.beyond =
    kase.kind === 'open'
      ? await simulate(about, { ...nobody, request: request(false, kase.network_keys), resourcePolicy: far })
      : await simulate(about, { ...own, request: request(true, kase.keys), resourcePolicy: far });
  if (kase.endpoint) {
    const endpoint = fix(kase.endpoint);
    const asked = request(kase.signed, kase.keys);
    // Whether there is a boundary matters to NotPrincipal, not what it says.
    const bounded = { permissionBoundaryPolicies: kase.signed ? boundary : undefined };
    found.endpoint = await simulate(about, { ...nobody, ...bounded, request: asked, resourcePolicy: endpoint });
    const everyone = aboutEveryone(endpoint);
    if (kase.kind === 'iam' && everyone) {
      const vpcEndpointPolicies = named([everyone]);
      found.whole = await simulate(about, { ...own, request: asked, resourcePolicy: far, vpcEndpointPolicies });
    }
  }
  return found;
};

const evaluate = async (line) => {
  const kase = JSON.parse(line);
  const found = { id: kase.id, plain: await answer(kase, []), without: {} };
  const concerned = Object.keys(changes).filter((name) => changes[name].concerns(kase, line));
  for (const name of concerned) found.without[name] = await answer(kase, [changes[name]]);
  if (concerned.length > 1) found.without.all = await answer(kase, concerned.map((name) => changes[name]));
  return found;
};

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line) process.stdout.write(`${JSON.stringify(await evaluate(line))}\n`);
  }
})().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
