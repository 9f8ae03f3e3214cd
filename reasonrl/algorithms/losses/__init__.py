"""Policy losses, one file each, and how token losses become one number.

`reasonrl.algorithms.catalogue.LOSSES` lists them. `objective` puts a loss, a KL term and an entropy bonus together;
`row_weights` turns losses over the responses of a prompt into weights of rows.
"""
